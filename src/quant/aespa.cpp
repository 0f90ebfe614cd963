// SPDX-License-Identifier: Apache-2.0
// aespa (arXiv 2402.08958): the start is GPTQ, the rounding is learned on L (learned_rounding.hpp).
#include <algorithm>

#include "quant/learned_rounding.hpp"
#include "quant/loss.hpp"
#include "quant/solvers.hpp"
#include "quant/sweep.hpp"

namespace constrictor::quant {
namespace {

/// What learned codes may replace: single rows, or whole heads where H_out ties the rows together.
/// Returns how many rows keep the codes of their start because learning did not lower L.
template <class T>
Index keep_the_better(const Objective<T>& objective, const Grid<T>& grid, bool rows_apart,
                      const Matrix<std::uint8_t>& start, Solution<T>& solution) {
  const auto losses = [&](const Matrix<std::uint8_t>& codes, std::vector<double>& of_rows) {
    const auto Q = dequantize<T>(codes.view(), grid);
    const auto QH = objective.input_product(Q.view());
    return objective.loss(Q.view(), QH.view(), &of_rows);
  };
  std::vector<double> before, after;
  solution.rounding.loss_start = losses(start, before);
  const double learned = losses(solution.codes, after);
  Index kept = 0;
  for (Index r = 0; r < start.rows(); ++r) {
    const auto row = static_cast<std::size_t>(r);
    // Written so that NaN keeps the start.
    if (rows_apart ? after[row] <= before[row] : learned <= solution.rounding.loss_start) continue;
    std::copy(start.row(r), start.row(r) + start.cols(), solution.codes.row(r));
    ++kept;
  }
  return kept;
}

}  // namespace

template <class T>
Solution<T> solve_aespa(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                        const QuantSpec& spec) {
  const auto live = live_weight(W, input);
  const auto target = target_weight<T>(live.view(), input, spec);
  Solution<T> solution;
  solution.grid = fit_grid<T>(target.view(), metric_of(input), grid_settings(spec));
  Matrix<T> compensated;
  const auto start = sweep<T>(target.view(), input, solution.grid, 1, &compensated);
  auto learned = learn_rounding<T>(
      {live.view(), read_only(compensated.view()), solution.grid, input, output}, spec);
  solution.codes = std::move(learned.codes);
  solution.rounding.steps = learned.steps;
  solution.rounding.undecided = learned.undecided;
  {
    const Objective<T> objective(live.view(), input.H.view(), input.D.view(),
                                 output != nullptr ? output->H.view() : View<const T>{});
    solution.rounding.rows_at_start =
        keep_the_better(objective, solution.grid, output == nullptr, start, solution);
  }
  finish<T>(live.view(), input, output, spec, solution);
  return solution;
}

template Solution<float> solve_aespa(View<const float>, const InputSide<float>&,
                                     const OutputSide<float>*, const QuantSpec&);
template Solution<double> solve_aespa(View<const double>, const InputSide<double>&,
                                      const OutputSide<double>*, const QuantSpec&);

}  // namespace constrictor::quant
