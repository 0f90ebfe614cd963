// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every backend's walk over sequences checks and reports in the same words.

#include <string>
#include <vector>

#include "calib/shard.hpp"
#include "comm/communicator.hpp"
#include "core/error.hpp"

namespace constrictor::backend {

/// "block 3: the attention output holds NaN or Inf, first in calibration sequence 17; ..."
NumericalError nonfinite(Index block, const char* what, Index sequence);

/// How far a block's output is from full precision, over all calibration tokens.
struct OutputError {
  double mean_squared = 0;
  double relative = 0;  // to the mean square of the full-precision output
  double cosine = 1;
};

/// Collective: from Σ (x~ - x)², Σ x², Σ x~², Σ x x~ of each of my sequences, [my sequences * 4];
/// added in the order of the sequences on every rank.
OutputError output_error(const comm::Communicator& ranks, const calib::Shard& shard, Index hidden,
                         const std::vector<double>& sums);

}  // namespace constrictor::backend
