// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/norm.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void rms_norm(View<const float> X, std::span<const float> w, double eps, View<float> Y) {
  const Index width = X.cols;
  CONSTRICTOR_REQUIRE(Y.rows == X.rows && Y.cols == width, X.rows, width, Y.rows, Y.cols);
  CONSTRICTOR_REQUIRE(static_cast<Index>(w.size()) == width, w.size(), width);
  for_rows(X.rows, [&](Index row) {
    const float *x = X.row(row), *weight = w.data();
    float* y = Y.row(row);
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (Index c = 0; c < width; ++c) squares += static_cast<double>(x[c]) * x[c];
    const auto scale =
        static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(width) + eps));
#pragma omp simd
    for (Index c = 0; c < width; ++c) y[c] = weight[c] * (x[c] * scale);
  });
}

void layer_norm(View<const float> X, std::span<const float> w, std::span<const float> b, double eps,
                View<float> Y) {
  const Index width = X.cols;
  CONSTRICTOR_REQUIRE(Y.rows == X.rows && Y.cols == width, X.rows, width, Y.rows, Y.cols);
  CONSTRICTOR_REQUIRE(static_cast<Index>(w.size()) == width && w.size() == b.size(), w.size(),
                      b.size(), width);
  for_rows(X.rows, [&](Index row) {
    const float *x = X.row(row), *weight = w.data(), *bias = b.data();
    float* y = Y.row(row);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index c = 0; c < width; ++c) sum += x[c];
    const double mean = sum / static_cast<double>(width);
    double squares = 0;  // of the centred values: E[x²] - mean² would cancel
#pragma omp simd reduction(+ : squares)
    for (Index c = 0; c < width; ++c) squares += (x[c] - mean) * (x[c] - mean);
    const auto scale =
        static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(width) + eps));
    const auto centre = static_cast<float>(mean);
#pragma omp simd
    for (Index c = 0; c < width; ++c) y[c] = weight[c] * ((x[c] - centre) * scale) + bias[c];
  });
}

}  // namespace constrictor::kernels
