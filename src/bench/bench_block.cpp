// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_block.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "bench/bench_model.hpp"
#include "comm/agree.hpp"
#include "core/threads.hpp"
#include "pipeline/job.hpp"

namespace constrictor::bench {
namespace {

namespace fs = std::filesystem;

std::vector<BenchPhase> phases_of(const BenchSetup& setup, const Demand& demand,
                                  const SecondsByPhase& seconds) {
  const auto travel = schedule::travelling_bytes(demand.shares, setup.spec.run.reduction,
                                                 setup.shard.lanes, setup.ranks.size());
  const double ranks = setup.ranks.size(), products = setup.products_peak();
  const auto &o = demand.operations, &d = demand.device_bytes;
  std::vector<BenchPhase> phases{
      {"statistics", 0, o.statistics, ranks * d.statistics, products},
      {"reduce", 0, 0, ranks * travel.reduce, 0},
      {"factor", 0, o.factor, ranks * travel.factor, setup.peak.float32},
      {"solve", 0, o.solve, ranks * (travel.solve + d.solve), setup.peak.float32},
      {"advance", 0, o.advance, ranks * d.advance, products}};
  for (const auto& [name, value] : seconds) {
    const auto known = std::find_if(phases.begin(), phases.end(),
                                    [&, n = name](const BenchPhase& p) { return p.name == n; });
    if (known != phases.end())
      known->seconds = value;
    else
      phases.push_back({name, value, 0, 0, 0});
  }
  return phases;
}

}  // namespace

void BesideWriter::write(io::BlockRecord record) {
  finish();
  if (ranks_.rank() != 0) return;
  writing_ = std::async(std::launch::async, [kept = std::move(record)] {
    use_one_thread_here();  // the others are at work
    const double start = wall_seconds();
    const fs::path file =
        fs::temp_directory_path() / ("constrictor-bench-" + std::to_string(::getpid()) + ".h5");
    io::write_block(file, kept);
    fs::remove(file);
    return wall_seconds() - start;
  });
}

void BesideWriter::finish() {
  comm::agree_on_root(ranks_, [&] {
    if (writing_.valid()) longest_ = std::max(longest_, writing_.get());
  });
}

BenchBlock measured_block(const BenchSetup& setup, backend::Backend& backend, const Demand& demand,
                          Index index, calib::HiddenStates& states, BesideWriter& writer) {
  Block block = random_block(setup.model, index, setup.products, setup.options.seed);
  io::BlockRecord record;
  record.index = index;
  SecondsByPhase seconds;
  backend.stage(block);  // in a run while the block before is worked on
  const double start = wall_seconds();
  backend.gather({block, block, demand.shape}, states, nullptr, seconds);
  const auto specs = specs_of(setup.model, setup.spec, index);
  backend::LayerInputs inputs = backend::plan_layers(
      setup.model, block, specs, setup.options.length, whole_block(setup.model));
  backend.use_sums(block, inputs);
  record.layers = backend.solve(inputs, seconds);
  pipeline::apply(record.layers, setup.products, block);
  backend.advance_quantized(block, states, seconds);
  {
    const PhaseTimer timer(seconds, "write");
    writer.write(std::move(record));
  }
  BenchBlock measured{index, index > 0, phases_of(setup, demand, seconds)};
  measured.phases.push_back({"rest", wall_seconds() - start - measured.seconds(), 0,
                             setup.ranks.size() * demand.device_bytes.rest, 0});
  return measured;
}

}  // namespace constrictor::bench
