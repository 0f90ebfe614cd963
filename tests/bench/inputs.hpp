// SPDX-License-Identifier: Apache-2.0
#pragma once
// Random layers for the benchmark: correlated inputs in bfloat16, Gaussian weights, and everything
// that the solvers take, made by the program's own functions.

#include <string>

#include "data/block_trace.hpp"
#include "data/factored.hpp"
#include "data/specs.hpp"
#include "quant/grid.hpp"

namespace constrictor::bench {

struct Shape {
  Index in = 0, out = 0;
};

/// Sizes that do not depend on the layer.
struct Settings {
  Index tokens = 2048;            // a chunk, as the program takes them
  Index length = 256;             // tokens of a sequence
  Index most_rows = 512;          // of a layer; its phases take time in proportion to them
  Index head_dim = 64;            // rows of a head
  Index heads = 4, kv_heads = 2;  // of the value sums
  int bits = 2;
};

struct Inputs {
  Settings settings;
  Index in = 0, rows = 0;
  Matrix<float> X, X_full;               // [tokens x in] quantized path, full-precision path
  Matrix<bfloat16> X_bf16, X_full_bf16;  // the same numbers
  BlockTrace trace, trace_full;          // with queries and keys, for the value sums
  Matrix<float> W;                       // [rows x in]
  Matrix<float> D;                       // [in x in] raw drift
  InputSide<float> side;                 // sequential drift
  OutputSide<float> output;              // of one head
  QuantSpec spec;

  /// `spec` with groups of `group_size` inputs, 0 = a whole row.
  QuantSpec grouped(Index group_size) const;
};

/// The same numbers at every call.
Inputs make_inputs(Shape shape, const Settings& settings);

}  // namespace constrictor::bench
