// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>

#include "kernels/rope.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

std::vector<float> inverse_frequencies(Index head_dim, double theta) {
  CONSTRICTOR_REQUIRE(head_dim % 2 == 0 && theta > 0, head_dim, theta);
  std::vector<float> frequencies(static_cast<std::size_t>(head_dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    frequencies[i] = 1.0f / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
  }
  return frequencies;
}

void stretch_linear(std::span<float> frequencies, double factor) {
  for (float& f : frequencies) f /= static_cast<float>(factor);
}

void stretch_llama3(std::span<float> frequencies, const Llama3Stretch& stretch) {
  const auto original = static_cast<float>(stretch.original_max_positions);
  const auto factor = static_cast<float>(stretch.factor);
  const auto low = static_cast<float>(stretch.low_freq_factor);
  const auto high = static_cast<float>(stretch.high_freq_factor);
  CONSTRICTOR_REQUIRE(high > low && low > 0, low, high);
  for (float& f : frequencies) {
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / f;
    if (wavelength < original / high) continue;
    if (wavelength > original / low) {
      f /= factor;
      continue;
    }
    const float smooth = (original / wavelength - low) / (high - low);
    f = (1.0f - smooth) * f / factor + smooth * f;
  }
}

RopeTable rope_table(std::span<const float> frequencies, Index positions) {
  const auto half = static_cast<Index>(frequencies.size());
  RopeTable table{Matrix<float>::uninitialized(positions, half),
                  Matrix<float>::uninitialized(positions, half)};
  for_rows(positions, [&](Index position) {
    for (Index i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * frequencies[static_cast<std::size_t>(i)];
      table.cos(position, i) = static_cast<float>(std::cos(static_cast<double>(angle)));
      table.sin(position, i) = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  });
  return table;
}

void rope(View<float> X, const RopeTable& table) {
  const Index length = table.positions(), head_dim = table.head_dim(), half = head_dim / 2;
  if (X.size() == 0) return;
  CONSTRICTOR_REQUIRE(head_dim > 0 && X.cols % head_dim == 0, X.cols, head_dim);
  CONSTRICTOR_REQUIRE(length > 0 && X.rows % length == 0, X.rows, length);
  for_rows(X.rows, [&](Index token) {
    const float *cos = table.cos.row(token % length), *sin = table.sin.row(token % length);
    for (float* x = X.row(token); x < X.row(token) + X.cols; x += head_dim) {
      float* y = x + half;
#pragma omp simd
      for (Index i = 0; i < half; ++i) {
        const float first = x[i], second = y[i];
        x[i] = first * cos[i] - second * sin[i];
        y[i] = second * cos[i] + first * sin[i];
      }
    }
  });
}

}  // namespace constrictor::kernels
