// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pure functions: matrices in, matrices out. No rank, no file, no YAML, no layer name.

#include <string_view>
#include <vector>

#include "data/factored.hpp"
#include "data/quantized_layer.hpp"
#include "data/specs.hpp"
#include "quant/grid.hpp"

namespace constrictor::quant {

/// What a solver makes of some rows of one layer.
template <class T>
struct Solution {
  Matrix<std::uint8_t> codes;  // [rows x in], original order
  Grid<T> grid;                // scale and zero as stored
  double loss_before = 0;      // L(Q) before refinement and polish
  double loss_after = 0;
  std::vector<double> loss_by_stage;  // L after each of stages_of(spec)
  Index frozen_scales = 0;            // groups of a row whose codes all equal the zero point
  double loss_rounding = 0;           // L of plain rounding of W on the grids before refinement
  double loss_scale = 0;              // tr(H_out W H_in W')
  RoundingFacts rounding;             // aespa only
  std::vector<double> row_loss;       // [rows]
  std::vector<double> column_energy;  // [in] squared column norms of Q - W
};

/// Which sides of the objective a solver uses.
struct Sides {
  bool factor = true;   // U of H_in (rounding needs H_in for its grid and loss only)
  bool output = false;  // H_out of the head, where the layer has one
};

/// A method of the family. To add one: write its file, add a line to `solvers` in solvers.cpp, a
/// word in data/words.hpp and, where its defaults differ, a preset in config/presets.
template <class T>
struct Solver {
  Method method;
  Sides sides;
  /// W [rows x in]: a tile of rows, or a whole head when `output` is given (null where there is
  /// none).
  Solution<T> (*solve)(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                       const QuantSpec& spec);
};

template <class T>
const Solver<T>& solver(Method method);

/// Plain rounding on fitted grids.
template <class T>
Solution<T> solve_rtn(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                      const QuantSpec& spec);
/// Column sweep of all rows at once (gptq.cpp).
template <class T>
Solution<T> solve_gptq(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                       const QuantSpec& spec);
/// Row blocks of one head, compensated by H_out (turboboa.cpp); without `output` it is solve_gptq.
template <class T>
Solution<T> solve_turboboa(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                           const QuantSpec& spec);
/// GPTQ, then rounding learned on L (aespa.cpp).
template <class T>
Solution<T> solve_aespa(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                        const QuantSpec& spec);

/// The metric of the grid search of an input side.
template <class T>
ErrorMetric<T> metric_of(const InputSide<T>& input) {
  return {input.H.view(), input.R.view(), input.order};
}
/// W with the columns of dead inputs set to zero.
template <class T>
Matrix<T> live_weight(View<const T> W, const InputSide<T>& input);
/// W* = W + W shift when the drift is exact, else W.
template <class T>
Matrix<T> target_weight(View<const T> W, const InputSide<T>& input, const QuantSpec& spec);
/// Takes `solution` (codes and grid set) through the stages of `spec` and fills in its losses.
template <class T>
void finish(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
            const QuantSpec& spec, Solution<T>& solution);

}  // namespace constrictor::quant
