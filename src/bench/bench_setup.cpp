// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_setup.hpp"

#include <unistd.h>

#include <filesystem>

#include "bench/bench_model.hpp"
#include "comm/agree.hpp"
#include "config/layer_spec.hpp"
#include "core/memory.hpp"
#include "pipeline/job.hpp"

namespace constrictor::bench {

void check(const comm::Communicator& ranks, const RunSpec& spec, const BenchOptions& options,
           const ModelSpec& model) {
  const auto between = [](const char* option, Index value, Index most) {
    if (value < 1 || value > most)
      throw UserError(std::string("bench: ") + option + " " + std::to_string(value) +
                      ": must lie between 1 and " + std::to_string(most) + " for this shape");
  };
  between("--blocks", options.blocks, model.blocks);
  between("--length", options.length, model.max_positions);
  between("--sequences", spec.calibration.sequences, 1 << 20);
  // Not after an hour of work.
  const auto folder = "." / std::filesystem::path(options.json).parent_path();
  if (!options.json.empty() && ::access(folder.c_str(), W_OK) != 0)
    throw FileSystemError("bench: --json " + options.json + ": its folder cannot be written to");
  if (options.scaling && ranks.size() > 1)
    throw UserError("bench: --scaling predicts from one rank; start it without mpirun");
  if (spec.quant.gather != Gather::block || spec.quant.alpha_rule != AlphaRule::fixed)
    throw UserError("bench: measures quant.gather: block and quant.alpha_rule: fixed only");
  if (options.scaling && options.blocks < 2)
    throw UserError("bench: --scaling needs a block with drift; use --blocks 2 or more");
}

std::vector<QuantSpec> specs_of(const ModelSpec& model, const RunSpec& run, Index block) {
  std::vector<QuantSpec> specs;
  for (const Layer& layer : outline(model).layers) {
    specs.push_back(config::layer_spec(run.quant, block, layer.name));
    config::require_device_can(run.run.device, specs.back(), layer.name);
    config::require_groups_fit(specs.back(), layer.name, layer.weight.cols());
  }
  return specs;
}

backend::BlockStep whole_block(const ModelSpec& model) {
  return backend::steps_of(Gather::block, pipeline::layer_roles(model)).front();
}

Demand demand_of(const BenchSetup& setup, Index index, const backend::TaskCut& cut) {
  const Block block = outline(setup.model);
  const auto specs = specs_of(setup.model, setup.spec, index);
  const auto step = whole_block(setup.model);
  const auto inputs = backend::plan_layers(setup.model, block, specs, setup.options.length, step);
  const int paths = index == 0 ? 1 : 2;
  Demand d;
  d.shape = backend::sum_shape(setup.model, specs, step.roles, step);
  d.shape.drift &= index > 0;
  d.operations = operations_of(setup.model, inputs, d.shape, setup.shard, paths);
  if (setup.options.device.name == "cuda")
    d.device_bytes =
        device_bytes_of(inputs, setup.model.hidden, setup.shard, paths, setup.products);
  d.shares = shares_of(inputs, d.shape, cut);
  d.bytes = least_bytes(inputs, d.shape, d.shares, setup.shard, setup.spec.run.reduction);
  return d;
}

double expected_seconds(const BenchSetup& setup, const Demand& demand) {
  const auto& o = demand.operations;
  double rows = 0;
  for (const schedule::Task& task : demand.shares.rows) rows += 2 * task.cost;
  return (o.statistics + o.advance) / (0.5 * setup.products_peak()) +
         (o.factor / 0.3 + rows / 1.2) / setup.peak.float32;
}

void require_memory(const BenchSetup& setup, double bytes) {
  comm::agree(setup.ranks, [&] {
    const auto available = static_cast<double>(available_memory());
    const double needed = bytes * setup.ranks.node_size();
    if (needed > available)
      throw MemoryError("bench: not enough memory: at least " + bytes_text(needed) +
                        " for the ranks of this node, " + bytes_text(available) +
                        " available; fewer --sequences or --set quant.value_hessian=input");
  });
}

}  // namespace constrictor::bench
