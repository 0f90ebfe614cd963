// SPDX-License-Identifier: Apache-2.0
#pragma once
// A small job without ranks: the oracle's model (2 blocks), 32 sequences of 16 tokens.

#include "calib/shard.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {

inline constexpr Index test_sequences = 32, test_length = 16;

inline Tokens tokens_of(Index sequences) {
  Tokens tokens;
  tokens.ids = Matrix<std::int32_t>(sequences, test_length);
  return tokens;
}

inline Job job_of(const QuantSpec& quant) {
  RunSpec spec;
  spec.model.path = CONSTRICTOR_SOURCE_DIR "/tests/oracle/llama_gqa";
  spec.quant = quant;
  Job job(spec);
  job.roles = layer_roles(job.model());
  job.specs.assign(static_cast<std::size_t>(job.model().blocks),
                   std::vector<QuantSpec>(job.roles.size(), quant));
  job.calibration = tokens_of(test_sequences);
  return job;
}

inline calib::Shard shard_of_rank(const Job& job, int ranks, int rank) {
  return calib::shard_of(job.calibration.sequences(), job.calibration.length(), job.spec.run.lanes,
                         ranks, rank);
}

}  // namespace constrictor::pipeline
