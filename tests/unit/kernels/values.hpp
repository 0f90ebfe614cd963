// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "core/matrix.hpp"

namespace constrictor::test {

inline constexpr double float_epsilon = std::numeric_limits<float>::epsilon();

/// Uniform in [-spread, spread], the same numbers with every standard library.
inline Matrix<float> random_matrix(Index rows, Index cols, std::uint64_t seed,
                                   double spread = 1.0) {
  std::mt19937_64 chance(seed);
  auto values = Matrix<float>::uninitialized(rows, cols);
  for (float& v : values.values())
    v = static_cast<float>(spread * (std::ldexp(static_cast<double>(chance() >> 11), -52) - 1.0));
  return values;
}

inline std::vector<float> random_vector(Index size, std::uint64_t seed, double spread = 1.0) {
  const Matrix<float> m = random_matrix(1, size, seed, spread);
  return {m.values().begin(), m.values().end()};
}

/// A [rows x cols] window into a wider matrix whose margin must stay as it is.
struct Framed {
  Framed(Index rows, Index cols) : all(rows + 2, cols + 5) { all.fill(margin); }
  View<float> view() { return all.view().block(1, 2, all.rows() - 2, all.cols() - 5); }
  void assign(const Matrix<float>& values) {
    for (Index r = 0; r < values.rows(); ++r)
      for (Index c = 0; c < values.cols(); ++c) view()(r, c) = values(r, c);
  }
  bool margin_untouched() {
    Index kept = 0;
    for (const float v : all.values()) kept += v == margin;
    return kept >= all.size() - view().size();
  }
  static constexpr float margin = 12345.5f;
  Matrix<float> all;
};

}  // namespace constrictor::test
