// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "kernels/round_to_bfloat16.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void to_bfloat16(View<const float> X, View<bfloat16> R) {
  CONSTRICTOR_REQUIRE(X.rows == R.rows && X.cols == R.cols, X.rows, X.cols, R.rows, R.cols);
  for_rows(X.rows, [&](Index row) {
    const float* x = X.row(row);
    bfloat16* r = R.row(row);
    // bfloat16's own constructor, without its branch: that one does not vectorise.
#pragma omp simd
    for (Index c = 0; c < X.cols; ++c) {
      const auto u = std::bit_cast<std::uint32_t>(x[c]);
      const std::uint32_t nearest = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
      const std::uint32_t quiet_nan = (u >> 16) | 0x40u;
      const std::uint32_t is_nan = (u & 0x7fffffffu) > 0x7f800000u ? 0xffffffffu : 0u;
      r[c].bits = static_cast<std::uint16_t>((quiet_nan & is_nan) | (nearest & ~is_nan));
    }
  });
}

void round_to_bfloat16(View<float> X, View<bfloat16> R) {
  to_bfloat16(read_only(X), R);
  for_rows(X.rows, [&](Index row) {
    float* x = X.row(row);
    const bfloat16* r = R.row(row);
#pragma omp simd
    for (Index c = 0; c < X.cols; ++c) x[c] = static_cast<float>(r[c]);
  });
}

}  // namespace constrictor::kernels
