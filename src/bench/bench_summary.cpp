// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_summary.hpp"

#include <algorithm>
#include <cstdio>

#include "pipeline/report_lines.hpp"

namespace constrictor::bench {
namespace {

std::string number(double value, const char* format = "%.3g") {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}
std::string rate(double amount, double seconds) {
  return amount > 0 && seconds > 0 ? number(1e-9 * amount / seconds) : "-";
}
std::string share(double value, double peak) {
  return value > 0 && peak > 0 ? number(100 * value / peak, "%.1f") : "-";
}

void add_rows(const BenchBlock& block, const std::string& name, double peak,
              std::vector<pipeline::Screen::Row>& rows) {
  BenchPhase all{"together", block.seconds(), 0, 0, peak};
  for (const BenchPhase& phase : block.phases) {
    rows.push_back({name, phase.name, number(phase.seconds, "%.3f"),
                    number(1e-12 * phase.operations), rate(1e-3 * phase.operations, phase.seconds),
                    share(phase.rate(), phase.peak), number(1e-9 * phase.bytes),
                    rate(phase.bytes, phase.seconds)});
    all.operations += phase.operations;
    all.bytes += phase.bytes;
  }
  rows.push_back({name, all.name, number(all.seconds, "%.3f"), number(1e-12 * all.operations),
                  rate(1e-3 * all.operations, all.seconds), share(all.rate(), all.peak),
                  number(1e-9 * all.bytes), rate(all.bytes, all.seconds)});
}

}  // namespace

const BenchBlock* typical_later_block(const std::vector<BenchBlock>& blocks) {
  std::vector<const BenchBlock*> later;
  for (const BenchBlock& block : blocks)
    if (block.index > 0) later.push_back(&block);
  if (later.empty()) return nullptr;
  std::sort(later.begin(), later.end(),
            [](const auto* a, const auto* b) { return a->seconds() < b->seconds(); });
  return later[(later.size() - 1) / 2];
}

double extrapolated_seconds(const std::vector<BenchBlock>& blocks, Index model_blocks) {
  const BenchBlock* later = typical_later_block(blocks);
  if (blocks.empty() || (later == nullptr && model_blocks > 1)) return 0;
  const double others = static_cast<double>(model_blocks - 1);
  return blocks.front().seconds() + (later != nullptr ? others * later->seconds() : 0);
}

std::vector<pipeline::Screen::Row> phase_table(const BenchReport& report) {
  std::vector<pipeline::Screen::Row> rows{
      {"block", "phase", "seconds", "TFLOP", "TFLOP/s", "% of peak", "GB", "GB/s"}};
  const double peak = report.products == "bfloat16" ? report.bfloat16_peak : report.float32_peak;
  if (!report.blocks.empty()) add_rows(report.blocks.front(), "first", peak, rows);
  if (const BenchBlock* later = typical_later_block(report.blocks))
    add_rows(*later, "later", peak, rows);
  return rows;
}

std::string extrapolation_line(const BenchReport& report) {
  const std::string blocks = std::to_string(report.model_blocks) + " blocks: ";
  const BenchBlock* later = typical_later_block(report.blocks);
  if (report.model_seconds <= 0 || later == nullptr)
    return "whole model  " + blocks +
           "unknown, later blocks take longer than the first; --blocks 2";
  return "whole model  " + blocks + number(report.blocks.front().seconds()) + " s + " +
         std::to_string(report.model_blocks - 1) + " x " + number(later->seconds()) +
         " s = " + pipeline::duration_text(report.model_seconds) +
         "; embedding, reading and evaluation come on top";
}

std::vector<pipeline::Screen::Row> scaling_table(const std::vector<ScalingEstimate>& scaling) {
  std::vector<pipeline::Screen::Row> rows{{"ranks", "seconds", "speed-up", "efficiency %",
                                           "statistics", "reduce", "factor", "solve", "advance",
                                           "serial", "limit"}};
  for (const ScalingEstimate& e : scaling) {
    const double gain = e.total > 0 ? scaling.front().total / e.total : 0;
    pipeline::Screen::Row row{std::to_string(e.ranks), number(e.total, "%.2f"),
                              number(gain, "%.2f"), number(100 * gain / e.ranks, "%.0f")};
    for (const char* phase : {"statistics", "reduce", "factor", "solve", "advance", "serial"}) {
      const auto found = e.seconds.find(phase);
      row.push_back(found != e.seconds.end() ? number(found->second, "%.2f") : "-");
    }
    row.push_back(e.limit);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace constrictor::bench
