// SPDX-License-Identifier: Apache-2.0
#include "pipeline/report_lines.hpp"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <filesystem>

#include "config/resolved_text.hpp"
#include "core/memory.hpp"
#include "data/words.hpp"
#include "eval/summary.hpp"
#include "linalg/gemm.hpp"
#include "pipeline/evaluation.hpp"

namespace constrictor::pipeline {
namespace {

[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

std::string number(Index n) { return std::to_string(n); }

std::string width_words(const QuantSpec& q) {
  if (!q.budget.on()) return std::to_string(q.bits) + " bits";
  std::string list;
  for (const int bits : q.budget.choices) list += (list.empty() ? "" : ", ") + number(bits);
  return text("%g bits on average of ", q.budget.average) + list;
}

}  // namespace

std::string method_words(const QuantSpec& q) {
  std::string words = std::string(word(q.method)) + ", " + width_words(q) + ", " +
                      (q.group_size > 0 ? "groups of " + number(q.group_size) : "one scale a row") +
                      ", " + (q.symmetric ? "symmetric" : "asymmetric") + ", grid " +
                      std::string(word(q.grid));
  if (q.row_metric != RowMetric::none) words += ", " + number(q.rows_at_once) + " rows at once";
  words += ", drift " + std::string(word(q.drift));
  if (q.drift != Drift::none) words += text(" (alpha %g)", q.alpha);
  if (q.column_order != Order::original) words += ", columns " + std::string(word(q.column_order));
  if (q.row_order != Order::original) words += ", rows " + std::string(word(q.row_order));
  if (q.beam > 1) words += ", beam " + number(q.beam);
  if (q.polish > 0) words += ", polish " + number(q.polish);
  if (q.gather == Gather::sublayer) words += ", statistics by sublayer";
  return words;
}

std::string duration_text(double seconds) {
  if (seconds < 60) return text("%.1f s", seconds);
  const auto whole = static_cast<long>(std::lround(seconds));
  if (whole < 3600) return text("%ld min %ld s", whole / 60, whole % 60);
  return text("%ld h %ld min", whole / 3600, whole % 3600 / 60);
}

std::string machine_line(const comm::Communicator& ranks, const std::string& threads,
                         const std::string& device) {
  const auto comma = std::min(threads.find(','), threads.size());
  const std::string count = threads.substr(0, comma), place = threads.substr(comma);
  if (ranks.size() == 1) return "machine      1 rank, " + threads + "; " + device;
  return "machine      " + number(ranks.size()) + " ranks, " + count + " each" +
         (place.empty() ? "" : " (rank 0" + place.substr(1) + ")") + "; " + device;
}

std::vector<std::string> header_lines(const comm::Communicator& ranks, const Job& job,
                                      const Prediction& prediction, const std::string& device,
                                      const std::string& threads) {
  const ModelSpec& m = job.model();
  std::vector<std::string> lines;
  lines.push_back("model        " + job.spec.model.path + ": " + m.family + ", " +
                  number(m.blocks) + " blocks, hidden " + number(m.hidden) +
                  text(", %.4g million parameters, ",
                       1e-6 * static_cast<double>(job.checkpoint.parameter_count())) +
                  std::string(word(m.dtype)));
  lines.push_back("method       " + method_words(job.spec.quant));
  lines.push_back("calibration  " + number(job.calibration.sequences()) + " x " +
                  number(job.calibration.length()) + " tokens of " + job.spec.calibration.tokens +
                  " (" + job.calibration.tokens_sha256.substr(0, 12) + ")");
  lines.push_back(machine_line(ranks, threads, device));
  lines.push_back("products     " + std::string(word(job.products)) + " by " +
                  linalg::product_library() + ", reduction " +
                  std::string(word(job.spec.run.reduction)));
  lines.push_back("memory       " + bytes_text(prediction.bytes_per_rank) +
                  " a rank predicted, fullest in the " + prediction.fullest + "; disk " +
                  bytes_text(prediction.disk_bytes));
  if (prediction.device)
    lines.push_back("on device    " + bytes_text(prediction.device->bytes()) +
                    " predicted, fullest: " + prediction.device->name);
  lines.push_back("run          " + job.folder + " (id " + job.run_id + ")");
  if (ranks.size() > job.calibration.sequences())
    lines.push_back(
        "note         more ranks than calibration sequences: some ranks only help to solve");
  return lines;
}

std::string block_line(const io::BlockRecord& record, Index blocks, double seconds,
                       double eta_seconds) {
  double sum = 0, worst = -1;
  std::string worst_name;
  for (const auto& layer : record.layers) {
    sum += layer.relative_loss();
    if (layer.relative_loss() > worst) worst = layer.relative_loss(), worst_name = layer.name;
  }
  const int width = static_cast<int>(number(blocks).size());
  const double mean = record.layers.empty() ? 0. : sum / static_cast<double>(record.layers.size());
  auto line = text("block %*lld of %lld   loss %.4g (worst %s %.4g)", width,
                   static_cast<long long>(record.index + 1), static_cast<long long>(blocks), mean,
                   worst_name.c_str(), worst);
  if (std::isfinite(record.relative_output_error))
    line += text("   output error %.3g", record.relative_output_error);
  line += "   " + duration_text(seconds);
  if (eta_seconds > 0) line += "   " + duration_text(eta_seconds) + " to go";
  return line;
}

std::vector<std::string> layer_warnings(Index block, const QuantizedLayer& layer) {
  const std::string name = "block " + number(block) + ", " + layer.name + ": ";
  std::vector<std::string> warnings;
  if (layer.method_used != word(layer.spec.method))
    warnings.push_back(name + "quantized with " + layer.method_used + " instead of " +
                       std::string(word(layer.spec.method)) +
                       ": its Hessian could not be factored (allowed by quant.fallback)");
  if (layer.shared_statistics)
    warnings.push_back(name + "only " + number(layer.expert_tokens) + " tokens for " +
                       number(layer.codes.cols()) +
                       " inputs, so the statistics of all experts of the block were used");
  if (layer.damping_retries > 0)
    warnings.push_back(name + text("the factorization needed damping %g after %d retries",
                                   layer.damping, layer.damping_retries));
  if (layer.dead_columns > 0)
    warnings.push_back(name + number(layer.dead_columns) +
                       " inputs are always zero; their weights are set to zero");
  if (const Index kept = layer.rounding.rows_at_start; 10 * kept > layer.codes.rows())
    warnings.push_back(name + "learned rounding did not lower the loss of " + number(kept) +
                       " of " + number(layer.codes.rows()) + " rows, they keep their GPTQ start (" +
                       number(layer.rounding.undecided) + " weights undecided after " +
                       number(layer.rounding.steps) + " steps)");
  const double margin = 1e-6 * layer.loss_scale;
  if (layer.loss_after > layer.loss_before + margin)
    warnings.push_back(name + text("refinement raised the loss from %.6g to %.6g",
                                   layer.loss_before, layer.loss_after));
  if (layer.loss_after > layer.loss_rounding + margin)
    warnings.push_back(name +
                       text("loss %.4g is above that of plain rounding, %.4g (relative)",
                            layer.relative_loss(),
                            layer.loss_scale > 0 ? layer.loss_rounding / layer.loss_scale : 0.));
  return warnings;
}

std::vector<Screen::Row> score_table(const std::vector<Scores>& scores) {
  std::vector<Screen::Row> rows{
      {"text", "windows", "full precision", "this run", "KL to full", "same top token"}};
  for (const Scores& s : scores) {
    const bool compared = !s.kl.empty();
    rows.push_back({s.dataset, number(s.windows()) + " x " + number(s.length),
                    compared ? perplexity_text(eval::full_perplexity(s)) : "-",
                    perplexity_text(eval::perplexity(s)),
                    compared ? text("%.4f", eval::mean_kl(s)) : "-",
                    compared ? text("%.1f %%", 100 * s.top1_agreement) : "-"});
  }
  return rows;
}

std::string phase_line(const SecondsByPhase& seconds) {
  std::vector<std::pair<double, std::string>> phases;
  double total = 0;
  for (const auto& [phase, value] : seconds) phases.emplace_back(value, phase), total += value;
  std::sort(phases.rbegin(), phases.rend());
  std::string line = text("seconds      %.1f in all:", total);
  for (const auto& [value, phase] : phases) line += text(" %s %.1f,", phase.c_str(), value);
  line.pop_back();
  return line;
}

void show_prediction(const Job& job, const Prediction& prediction, Screen& screen) {
  screen.line(config::resolved_text(job.spec));
  std::vector<Screen::Row> rows{{"memory of one rank, " + prediction.fullest, "bytes"}};
  for (const auto& item : prediction.memory) rows.push_back({item.what, bytes_text(item.bytes)});
  rows.push_back({"together", bytes_text(prediction.bytes_per_rank)});
  screen.table(rows);
  if (prediction.device) {
    rows = {{"memory of one device, " + prediction.device->name, "bytes"}};
    for (const auto& item : prediction.device->items)
      rows.push_back({item.what, bytes_text(item.bytes)});
    rows.push_back({"together", bytes_text(prediction.device->bytes())});
    screen.table(rows);
  }
  screen.line("memory of this node   " + bytes_text(prediction.bytes_per_node) + " predicted, " +
              bytes_text(static_cast<double>(available_memory())) + " available");
  screen.line("disk                  " + bytes_text(prediction.disk_bytes) + " in " + job.folder);
  screen.line("time                  about " + duration_text(prediction.seconds) +
              text(" (products run at %.0f GFLOP/s a rank here)", prediction.measured_gflops));
  screen.line("nothing was started (--dry-run)");
}

}  // namespace constrictor::pipeline
