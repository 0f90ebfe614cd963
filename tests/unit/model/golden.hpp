// SPDX-License-Identifier: Apache-2.0
#pragma once
// Model folders with what Transformers computes from them (tests/oracle/README.md).
#include <algorithm>
#include <cmath>
#include <string>

#include "io/checkpoint.hpp"
#include "io/h5.hpp"
#include "kernels/soft_cap.hpp"
#include "linalg/gemm.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"

namespace constrictor::test {

inline std::string source_path(const std::string& relative) {
  return std::string(CONSTRICTOR_SOURCE_DIR "/") + relative;
}

/// max |a - b| / max |b|; infinite when a number is missing, NaN when one is NaN.
inline double relative_difference(View<const float> a, View<const float> b) {
  if (a.rows != b.rows || a.cols != b.cols) return INFINITY;
  double difference = 0, largest = 0;
  for (Index r = 0; r < a.rows; ++r)
    for (Index c = 0; c < a.cols; ++c) {
      const double d = std::abs(static_cast<double>(a(r, c)) - b(r, c));
      if (!(d <= difference)) difference = d;
      largest = std::max<double>(largest, std::abs(b(r, c)));
    }
  return difference / largest;
}
inline double relative_difference(const Matrix<float>& a, const Matrix<float>& b) {
  return relative_difference(a.view(), b.view());
}

/// [tokens x vocabulary] of the last block's output.
inline Matrix<float> logits_of(const ModelSpec& spec, const ModelEnds& ends,
                               View<const float> hidden) {
  const Matrix<float> x = model::head_input(spec, ends, hidden);
  auto logits = Matrix<float>::uninitialized(x.rows(), ends.head().rows());
  linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::yes, 1.0f, x.view(),
                      ends.head().view(), 0.0f, logits.view());
  if (spec.final_soft_cap > 0)
    kernels::soft_cap(logits.view(), static_cast<float>(spec.final_soft_cap));
  return logits;
}

/// Tokens through the whole model.
inline Matrix<float> logits_of(const io::Checkpoint& model, View<const std::int32_t> ids,
                               Products products) {
  const ModelEnds ends = model.load_ends();
  Matrix<float> hidden = model::embed(model.spec(), ends, ids);
  for (Index b = 0; b < model.spec().blocks; ++b)
    hidden = model::forward(model.spec(), model.load_block(b, products), hidden.view(), ids.cols,
                            products, model::Keep::output_only)
                 .output;
  return logits_of(model.spec(), ends, hidden.view());
}

}  // namespace constrictor::test
