// SPDX-License-Identifier: Apache-2.0
#include "bench/bench.hpp"

#include <cmath>
#include <cstdio>

#include "bench/bench_block.hpp"
#include "bench/bench_model.hpp"
#include "bench/bench_shapes.hpp"
#include "bench/bench_summary.hpp"
#include "comm/agree.hpp"
#include "config/resolved_text.hpp"
#include "core/build_info.hpp"
#include "core/memory.hpp"
#include "data/words.hpp"
#include "io/bench_file.hpp"
#include "io/run_log.hpp"
#include "model/forward.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::bench {
namespace {

BenchReport blank_report(const BenchSetup& setup, const backend::Backend& backend) {
  BenchReport r;
  r.shape = setup.options.shape;
  r.device = setup.options.device.description;
  r.threads = setup.options.threads;
  r.products = word(setup.products);
  r.reduction = word(setup.spec.run.reduction);
  r.library = backend.product_library();
  r.version = build_info().version + " (" + build_info().git_sha + ")";
  r.started = io::now_utc();
  r.deck = config::resolved_text(setup.spec);
  r.seed = setup.options.seed;
  r.sequences = setup.spec.calibration.sequences;
  r.length = setup.options.length;
  r.model_blocks = setup.model.blocks;
  r.ranks = setup.ranks.size();
  r.float32_peak = setup.peak.float32;
  r.bfloat16_peak = setup.peak.bfloat16;
  r.link = setup.options.link;
  return r;
}

schedule::BlockOnOneRank with_seconds(const BenchBlock& block, schedule::BlockOnOneRank shares,
                                      double writing) {
  shares.beside = writing;
  shares.serial = block.seconds();
  for (const auto& [name, to] : {std::pair{"statistics", &shares.statistics},
                                 {"factor", &shares.factor},
                                 {"solve", &shares.solve},
                                 {"advance", &shares.advance}})
    for (const BenchPhase& phase : block.phases)
      if (phase.name == name) {
        *to += phase.seconds;
        shares.serial -= phase.seconds;
      }
  return shares;
}

std::vector<ScalingEstimate> scaling_of(const BenchSetup& setup, const BenchReport& report,
                                        const Demand& first, const Demand& later) {
  const schedule::Cluster cluster{
      setup.spec.run.reduction, setup.options.link,
      schedule::sequences_of_lanes(setup.shard.sequences, setup.shard.lanes)};
  const auto one = with_seconds(report.blocks.front(), first.shares, report.write_seconds);
  const auto many =
      with_seconds(*typical_later_block(report.blocks), later.shares, report.write_seconds);
  std::vector<ScalingEstimate> estimates;
  for (int ranks = 1; ranks <= 64; ranks *= 2)
    estimates.push_back(schedule::on_ranks(one, many, setup.model.blocks - 1, cluster, ranks));
  return estimates;
}

std::vector<std::string> header_of(const BenchSetup& setup, const BenchReport& report, double bytes,
                                   double seconds) {
  const ModelSpec& m = setup.model;
  char peaks[128];
  std::snprintf(peaks, sizeof peaks, "%.3g TFLOP/s float32, %.3g TFLOP/s bfloat16",
                1e-12 * report.float32_peak, 1e-12 * report.bfloat16_peak);
  return {"shape        " + report.shape + ": " + m.family + ", " +
              std::to_string(m.blocks) + " blocks, hidden " + std::to_string(m.hidden) +
              "; random numbers, seed " + std::to_string(report.seed),
          "method       " + pipeline::method_words(setup.spec.quant),
          "calibration  " + std::to_string(report.sequences) + " x " +
              std::to_string(report.length) + " random hidden states",
          pipeline::machine_line(setup.ranks, report.threads, report.device),
          "products     " + report.products + " by " + report.library + ", reduction " +
              report.reduction,
          std::string("peak         ") + peaks + ", large products on " +
              std::to_string(report.ranks) + (report.ranks == 1 ? " rank" : " ranks"),
          "memory       at least " + bytes_text(bytes) + " a rank",
          "time         about " + pipeline::duration_text(seconds) + " for " +
              std::to_string(setup.options.blocks) +
              " blocks; fewer --sequences and a smaller --length take less"};
}

void show(const BenchReport& report, pipeline::Screen& screen) {
  screen.line("");
  screen.table(phase_table(report));
  screen.line(extrapolation_line(report));
  std::string memory = "peak memory  " + bytes_text(static_cast<double>(report.host_peak_bytes));
  memory += " a rank on the host";
  if (report.device_peak_bytes > 0)
    memory += ", " + bytes_text(static_cast<double>(report.device_peak_bytes)) + " on the device";
  screen.line(memory);
  screen.line("files        " + pipeline::duration_text(report.write_seconds) +
              " a block at most, written beside the work on the next one");
  if (report.scaling.empty()) return;
  screen.line("");
  screen.line("predicted for more ranks that exchange " +
              std::to_string(std::lround(1e-9 * report.link)) + " GB/s, not measured:");
  screen.table(scaling_table(report.scaling));
}

}  // namespace

void bench(const comm::Communicator& ranks, const RunSpec& spec, const BenchOptions& options,
           pipeline::Screen& screen) {
  const ModelSpec model = comm::agree(ranks, [&] {
    const ModelSpec found = shape_of_model(options.shape);
    check(ranks, spec, options, found);
    return found;
  });
  BenchSetup setup{ranks, spec, options, model, model::resolved_products(model, spec.run.products)};
  setup.peak = comm::agree(ranks, [&] { return measured_peak(options.device); });
  setup.peak.float32 *= ranks.size();
  setup.peak.bfloat16 *= ranks.size();
  const auto backend =
      backend::make_backend(ranks, options.device, {model, setup.products, spec.run.reduction});
  setup.shard = calib::shard_of(spec.calibration.sequences, options.length, spec.run.lanes,
                                ranks.size(), ranks.rank(), backend->chunk_tokens());
  const auto demands = comm::agree(ranks, [&] {
    return std::pair{demand_of(setup, 0, backend->cut()), demand_of(setup, 1, backend->cut())};
  });
  const auto& [first, later] = demands;

  BenchReport report = blank_report(setup, *backend);
  const double bytes = ranks.max(options.blocks > 1 ? later.bytes : first.bytes);
  screen.header(header_of(setup, report, bytes,
                          expected_seconds(setup, first) + static_cast<double>(options.blocks - 1) *
                                                               expected_seconds(setup, later)));
  require_memory(setup, bytes);
  calib::HiddenStates states(
      setup.shard, random_hidden_states(model, setup.shard.first_sequence,
                                        setup.shard.last_sequence, options.length, options.seed));
  const auto full_pinned = backend->pinned(states.full.view()),
             quant_pinned = backend->pinned(states.quant.view());
  BesideWriter writer(ranks);
  for (Index b = 0; b < options.blocks; ++b) {
    report.blocks.push_back(
        measured_block(setup, *backend, demand_of(setup, b, backend->cut()), b, states, writer));
    screen.line("block " + std::to_string(b + 1) + " of " + std::to_string(options.blocks) + "   " +
                pipeline::duration_text(report.blocks.back().seconds()));
  }
  writer.finish();
  report.write_seconds = writer.longest();
  report.model_seconds = extrapolated_seconds(report.blocks, model.blocks);
  report.host_peak_bytes = ranks.max(Index{peak_memory()});
  report.device_peak_bytes = ranks.max(backend->take_peak_device_memory());
  if (options.scaling) report.scaling = scaling_of(setup, report, first, later);
  show(report, screen);
  if (options.json.empty()) return;
  comm::agree_on_root(ranks, [&] { io::write_bench(options.json, report); });
  screen.line("written      " + options.json);
}

}  // namespace constrictor::bench
