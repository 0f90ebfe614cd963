// SPDX-License-Identifier: Apache-2.0
#include "inputs.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "hessian/damped.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::bench {
namespace {

Matrix<float> gaussian(Index rows, Index cols, double deviation, std::mt19937_64& engine) {
  std::normal_distribution<float> normal(0.f, static_cast<float>(deviation));
  auto m = Matrix<float>::uninitialized(rows, cols);
  for (float& v : m.values()) v = normal(engine);
  return m;
}

/// Columns of unequal size that share 16 common factors, as activations do; bfloat16 values.
Matrix<float> activations(Index tokens, Index in, std::mt19937_64& engine) {
  constexpr Index factors = 16;
  auto X = gaussian(tokens, in, 1, engine);
  const auto common = gaussian(tokens, factors, 1, engine), size = gaussian(1, in, 0.5, engine);
  for (Index t = 0; t < tokens; ++t)
    for (Index c = 0; c < in; ++c)
      X(t, c) =
          rounded_to_bfloat16((X(t, c) + 0.8f * common(t, c % factors)) * std::exp(size(0, c)));
  return X;
}

Matrix<bfloat16> narrowed(const Matrix<float>& X) { return converted<bfloat16>(X.view()); }

/// What the value sums read of a block's trace.
BlockTrace trace_of(const Matrix<float>& X, const Settings& settings, std::mt19937_64& engine) {
  BlockTrace trace;
  trace.attention_input = X;
  trace.attention.scale = 1.f / std::sqrt(static_cast<float>(settings.head_dim));
  trace.query = gaussian(X.rows(), settings.heads * settings.head_dim, 1, engine);
  trace.key = gaussian(X.rows(), settings.kv_heads * settings.head_dim, 1, engine);
  return trace;
}

/// (2 / tokens) A' B
Matrix<float> mean_product(const Matrix<float>& A, const Matrix<float>& B) {
  Matrix<float> C(A.cols(), B.cols());
  linalg::gemm<float>(linalg::Transpose::yes, linalg::Transpose::no,
                      2.f / static_cast<float>(A.rows()), A.view(), B.view(), 0.f, C.view());
  return C;
}

}  // namespace

QuantSpec Inputs::grouped(Index group_size) const {
  QuantSpec changed = spec;
  changed.group_size = group_size;
  return changed;
}

Inputs make_inputs(Shape shape, const Settings& settings) {
  std::mt19937_64 engine(1);
  Inputs inputs;
  inputs.settings = settings;
  inputs.in = shape.in;
  inputs.rows = std::min(shape.out, settings.most_rows);
  inputs.spec.bits = settings.bits;

  inputs.X = activations(settings.tokens, shape.in, engine);
  inputs.X_full = inputs.X;
  const auto noise = gaussian(settings.tokens, shape.in, 0.05, engine);
  for (Index i = 0; i < inputs.X_full.size(); ++i)
    inputs.X_full.data()[i] = rounded_to_bfloat16(inputs.X_full.data()[i] * (1 + noise.data()[i]));
  inputs.X_bf16 = narrowed(inputs.X);
  inputs.X_full_bf16 = narrowed(inputs.X_full);
  inputs.trace = trace_of(inputs.X, settings, engine);
  inputs.trace_full = trace_of(inputs.X_full, settings, engine);

  inputs.W = gaussian(inputs.rows, shape.in, 1 / std::sqrt(static_cast<double>(shape.in)), engine);
  const auto H = mean_product(inputs.X, inputs.X);
  inputs.D = mean_product(inputs.X_full, inputs.X);
  for (Index i = 0; i < H.size(); ++i) inputs.D.data()[i] -= H.data()[i];
  const hessian::FactorSettings factor{.damping = inputs.spec.damping,
                                       .length = settings.length,
                                       .drift = Drift::sequential,
                                       .alpha = inputs.spec.alpha,
                                       .column_order = Order::original,
                                       .shift_wanted = true};
  inputs.side = hessian::factor_input<float>(H.view(), inputs.D.view(), factor, "benchmark");
  const auto keys = activations(settings.tokens, settings.head_dim, engine);
  inputs.output = hessian::factor_output<float>(mean_product(keys, keys).view(),
                                                inputs.spec.damping, Order::original, "benchmark");
  return inputs;
}

}  // namespace constrictor::bench
