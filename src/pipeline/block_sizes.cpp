// SPDX-License-Identifier: Apache-2.0
#include "pipeline/block_sizes.hpp"

namespace constrictor::pipeline {
namespace {

double real(Index n) { return static_cast<double>(n); }

}  // namespace

std::vector<backend::InputUnit> planned_units(const Job& job, const std::vector<QuantSpec>& specs,
                                              Index length, const backend::BlockStep& step) {
  Block block;  // nobody touches its weights, so that they take no memory
  const auto names = job.checkpoint.layer_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Role role = job.roles[i];
    block.layers.push_back({names[i],
                            role,
                            Matrix<float>::uninitialized(layer_outputs(job.model(), role),
                                                         layer_inputs(job.model(), role)),
                            {},
                            {}});
    if (job.model().experts > 0 && role >= Role::gate)  // in the order of their numbers
      block.layers.back().expert = (static_cast<Index>(i) - 4) / 3;
  }
  return backend::plan_layers(job.model(), block, specs, length, step).units;
}

SumShape largest_sum_shape(const Job& job, const backend::BlockStep& step) {
  SumShape largest = backend::sum_shape(job.model(), job.specs.front(), job.roles, step);
  for (const auto& specs : job.specs) {
    const SumShape shape = backend::sum_shape(job.model(), specs, job.roles, step);
    if (bytes_of_sums(shape) > bytes_of_sums(largest)) largest = shape;
  }
  // The first block's inputs have not drifted, those of its later steps have.
  largest.drift &= job.model().blocks > 1 || !step.first;
  return largest;
}

SumShape largest_sum_shape(const Job& job) {
  return largest_sum_shape(job, backend::steps_of(Gather::block, job.roles).front());
}

bool any_beam(const Job& job) {
  for (const auto& specs : job.specs)
    for (const QuantSpec& spec : specs)
      if (spec.beam > 1) return true;
  return false;
}

double block_weights(const Job& job) {
  double numbers = 0;
  for (const Role role : job.roles)
    numbers += real(layer_inputs(job.model(), role)) * real(layer_outputs(job.model(), role));
  return numbers;
}

double end_weights(const ModelSpec& model) {
  return real(model.vocabulary) * real(model.embedding_width) * (model.tied_embeddings ? 1 : 2);
}

}  // namespace constrictor::pipeline
