// SPDX-License-Identifier: Apache-2.0
#include "pipeline/predict.hpp"

#include <algorithm>

#include "calib/shard.hpp"
#include "comm/agree.hpp"
#include "core/memory.hpp"
#include "pipeline/time_model.hpp"

namespace constrictor::pipeline {
namespace {

double real(Index n) { return static_cast<double>(n); }

/// What HDF5 makes of a dataset: larger ones are deflated (README, "Files").
double stored(double bytes, double share) { return bytes > (1 << 20) ? share * bytes : bytes; }

/// One layer in its block's file.
double layer_file_bytes(const Job& job, Role role, const QuantSpec& spec, const SumShape& shape) {
  const double in = real(layer_inputs(job.model(), role)),
               out = real(layer_outputs(job.model(), role));
  const double groups = spec.group_size > 0 ? in / real(spec.group_size) : 1;
  double bytes = 8000 + stored(in * out, std::min(1., 0.05 + 0.13 * spec.bits));  // codes
  bytes += 4 * (2 * groups * out + out + in);  // scale, zero, losses
  if (spec.column_order != Order::original) bytes += 4 * in;
  if (spec.row_order != Order::original) bytes += 4 * out;
  const KeepSpec& keep = job.spec.run.keep;
  constexpr double floats = 0.9;
  if (keep.statistics) {
    const bool heads = role == Role::value && shape.value_attention;
    const double squares = (heads ? real(shape.kv_heads) : 1) * (shape.drift ? 2 : 1);
    bytes += stored(4 * squares * in * in, floats) + stored(4 * in * out, floats);
  }
  const double width = job.products == Products::bfloat16 ? 2 : 4;
  return bytes + 2 * stored(width * real(keep.activations) * in, floats);
}

}  // namespace

double disk_bytes(const Job& job) {
  const SumShape shape = largest_sum_shape(job);
  double bytes = 30e3;  // run.h5, deck, log, state
  for (const auto& specs : job.specs)
    for (std::size_t i = 0; i < specs.size(); ++i)
      bytes += layer_file_bytes(job, job.roles[i], specs[i], shape);
  for (const Tokens& set : job.evaluation) bytes += 24 * real(set.sequences());
  return bytes;
}

Prediction predict(const comm::Communicator& ranks, const Job& job) {
  const auto shard = calib::shard_of(job.calibration.sequences(), job.calibration.length(),
                                     job.spec.run.lanes, ranks.size(), ranks.rank());
  auto fullest = fullest_moment(job, shard, ranks.size());
  Prediction p;
  p.fullest = fullest.name;
  p.memory = std::move(fullest.items);
  p.bytes_per_rank = ranks.max(fullest.bytes);
  p.bytes_per_node = p.bytes_per_rank * ranks.node_size();

  if (job.spec.run.device == "cuda")  // rank 0 has as many lanes as any
    p.device = fullest_device_moment(
        job,
        calib::shard_of(job.calibration.sequences(), job.calibration.length(), job.spec.run.lanes,
                        ranks.size(), 0, calib::device_chunk_tokens),
        ranks.size());

  p.disk_bytes = disk_bytes(job);
  const double flops = measured_flops();
  p.measured_gflops = flops * 1e-9;
  for (const auto& [phase, seconds] : predicted_seconds(job, flops, ranks.size()))
    p.seconds += seconds;
  return p;
}

void require_memory(const comm::Communicator& ranks, const Prediction& prediction) {
  comm::agree(ranks, [&] {
    const double available = static_cast<double>(available_memory());
    if (prediction.bytes_per_node <= available) return;
    throw MemoryError(
        "not enough memory: " + bytes_text(prediction.bytes_per_node) + " predicted for the " +
        std::to_string(ranks.node_size()) + " ranks of this node (" +
        bytes_text(prediction.bytes_per_rank) + " each, most of it for " +
        std::max_element(prediction.memory.begin(),
                         prediction.memory.end() - 2,  // of what is alive
                         [](const auto& a, const auto& b) { return a.bytes < b.bytes; })
            ->what +
        "), " + bytes_text(available) +
        " available; use fewer ranks a node or more nodes, quant.value_hessian: input, or fewer "
        "calibration.sequences; --force starts all the same");
  });
}

}  // namespace constrictor::pipeline
