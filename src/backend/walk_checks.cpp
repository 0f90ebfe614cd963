// SPDX-License-Identifier: Apache-2.0
#include "backend/walk_checks.hpp"

#include <cmath>

namespace constrictor::backend {

NumericalError nonfinite(Index block, const char* what, Index sequence) {
  return NumericalError("block " + std::to_string(block) + ": " + what +
                        " holds NaN or Inf, first in calibration sequence " +
                        std::to_string(sequence) +
                        "; look at the model's weights, or use run.products: float32");
}

OutputError output_error(const comm::Communicator& ranks, const calib::Shard& shard, Index hidden,
                         const std::vector<double>& sums) {
  double total[4] = {0, 0, 0, 0};
  for (const auto& bytes : ranks.all_gather(comm::bytes_of(std::span<const double>(sums)))) {
    const auto values = comm::values_of<double>(bytes);
    for (std::size_t i = 0; i < values.size(); ++i) total[i % 4] += values[i];
  }
  OutputError result;
  result.mean_squared = total[0] / static_cast<double>(shard.sequences * shard.length * hidden);
  result.relative = total[1] > 0 ? total[0] / total[1] : 0;
  result.cosine = total[1] > 0 && total[2] > 0 ? total[3] / std::sqrt(total[1] * total[2]) : 1;
  return result;
}

}  // namespace constrictor::backend
