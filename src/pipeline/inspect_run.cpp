// SPDX-License-Identifier: Apache-2.0
#include "pipeline/inspect_run.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "io/run_folder.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::pipeline {
namespace {

std::string fact_text(const io::Fact& fact) {
  if (const auto* words = std::get_if<std::string>(&fact)) return *words;
  if (const auto* integer = std::get_if<std::int64_t>(&fact)) return std::to_string(*integer);
  return std::to_string(std::get<double>(fact));
}

std::string short_number(double value) {
  if (std::isnan(value)) return "-";  // not measured
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// Relative losses after the solver and every stage: "0.31 > 0.3 > 0.29".
std::string by_stage(const QuantizedLayer& layer, double scale) {
  if (layer.loss_by_stage.empty()) return short_number(layer.loss_before / scale);
  std::string text;
  for (const double loss : layer.loss_by_stage)
    text += (text.empty() ? "" : " > ") + short_number(loss / scale);
  return text;
}

}  // namespace

void inspect_run(const std::string& run_dir, Screen& screen) {
  const auto run = io::read_run_file(std::filesystem::path(run_dir) / "run.h5");
  for (const auto& [name, fact] : run.provenance)
    if (name != "deck")
      screen.line(name + std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') +
                  fact_text(fact));
  screen.line("");
  std::vector<Screen::Row> rows{{"block", "layer", "method", "bits", "loss", "by stage", "rounding",
                                 "alpha", "damping", "retries", "dead", "condition", "seconds"}};
  std::vector<std::string> warnings;
  double weights = 0, bits = 0;
  for (const Index b : io::finished_blocks(run_dir)) {
    const auto record =
        io::read_block(std::filesystem::path(run_dir) / "blocks" / io::block_file_name(b));
    for (const auto& layer : record.layers) {
      const double scale = layer.loss_scale > 0 ? layer.loss_scale : 1;
      weights += static_cast<double>(layer.codes.size());
      bits += static_cast<double>(layer.codes.size()) * layer.spec.bits;
      const std::string tokens =
          layer.expert >= 0 ? " (" + std::to_string(layer.expert_tokens) + " tokens)" : "";
      rows.push_back({std::to_string(b), layer.name + tokens, layer.method_used,
                      std::to_string(layer.spec.bits), short_number(layer.relative_loss()),
                      by_stage(layer, scale), short_number(layer.loss_rounding / scale),
                      short_number(layer.alpha_used), short_number(layer.damping),
                      std::to_string(layer.damping_retries), std::to_string(layer.dead_columns),
                      short_number(layer.condition_estimate), short_number(layer.seconds)});
      for (auto& words : layer_warnings(b, layer)) warnings.push_back(std::move(words));
    }
    rows.push_back({std::to_string(b), "(output)", "", "",
                    short_number(record.relative_output_error), "", "", "", "", "", "", "", ""});
  }
  screen.table(rows);
  if (weights > 0)
    screen.line("average           " + short_number(bits / weights) +
                " bits a weight (codes, without scales and zero points)");
  std::vector<Scores> scores;
  for (const auto& [name, score] : run.scores) scores.push_back(score);
  if (!scores.empty()) screen.table(score_table(scores));
  for (const auto& words : warnings) screen.warning(words);
}

}  // namespace constrictor::pipeline
