// SPDX-License-Identifier: Apache-2.0
#include "quant/solvers.hpp"

#include "data/stages.hpp"
#include "linalg/gemm.hpp"
#include "quant/polish.hpp"
#include "quant/refine.hpp"
#include "quant/zeros.hpp"

namespace constrictor::quant {

template <class T>
const Solver<T>& solver(Method method) {
  static const Solver<T> solvers[] = {
      {Method::rtn, {.factor = false, .output = false}, solve_rtn<T>},
      {Method::gptq, {.factor = true, .output = false}, solve_gptq<T>},
      {Method::boa, {.factor = true, .output = true}, solve_turboboa<T>},  // N = 1
      {Method::turboboa, {.factor = true, .output = true}, solve_turboboa<T>},
      {Method::aespa, {.factor = true, .output = true}, solve_aespa<T>},
      {Method::constrictor, {.factor = true, .output = true}, solve_turboboa<T>},
      {Method::two_stage, {.factor = true, .output = true}, solve_turboboa<T>},
  };
  for (const auto& entry : solvers)
    if (entry.method == method) return entry;
  throw Bug("no solver for method " + std::to_string(static_cast<int>(method)));
}

template <class T>
Matrix<T> live_weight(View<const T> W, const InputSide<T>& input) {
  Matrix<T> live(W);
  for (const Index dead : input.dead)
    for (Index r = 0; r < W.rows; ++r) live(r, dead) = 0;
  return live;
}

template <class T>
Matrix<T> target_weight(View<const T> W, const InputSide<T>& input, const QuantSpec& spec) {
  Matrix<T> target(W);
  if (spec.drift == Drift::exact && !input.shift.empty())
    linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, T(1), W, input.shift.view(), T(1),
                    target.view());
  return target;
}

template <class T>
void finish(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
            const QuantSpec& spec, Solution<T>& solution) {
  const Objective<T> objective(W, input.H.view(), input.D.view(),
                               output != nullptr ? output->H.view() : View<const T>{});
  solution.loss_scale = objective.scale();
  {
    const auto rounded = dequantize<T>(round_to_grid<T>(W, solution.grid).view(), solution.grid);
    const auto product = objective.input_product(rounded.view());
    solution.loss_rounding = objective.loss(rounded.view(), product.view());
  }

  Fit<T> fit(objective, output != nullptr ? output->order : std::vector<std::int32_t>{},
             std::move(solution.codes), std::move(solution.grid));
  for (const Stage stage : stages_of(spec)) {
    switch (stage) {
      case Stage::solver:
        break;
      case Stage::refine:
        refine_scales<T>(fit, {.passes = spec.refine_passes, .gain = spec.refine_gain});
        break;
      case Stage::zeros:
        refine_zeros(fit);
        break;
      case Stage::polish:
        polish(fit);
        break;
    }
    solution.loss_by_stage.push_back(fit.loss);
  }
  solution.loss_before = solution.loss_by_stage.front();
  solution.loss_after = solution.loss_by_stage.back();
  solution.row_loss = std::move(fit.row_loss);
  solution.codes = std::move(fit.codes);
  solution.grid = std::move(fit.grid);
  solution.frozen_scales = frozen_scales<T>(solution.codes.view(), solution.grid);

  const auto Q = dequantize<T>(solution.codes.view(), solution.grid);
  solution.column_energy.assign(static_cast<std::size_t>(W.cols), 0);
  for (Index r = 0; r < W.rows; ++r)
    for (Index c = 0; c < W.cols; ++c) {
      const double d = static_cast<double>(Q(r, c)) - static_cast<double>(W(r, c));
      solution.column_energy[static_cast<std::size_t>(c)] += d * d;
    }
}

template <class T>
Solution<T> solve_rtn(View<const T> W, const InputSide<T>& input, const OutputSide<T>*,
                      const QuantSpec& spec) {
  const auto live = live_weight(W, input);
  Solution<T> solution;
  solution.grid = fit_grid<T>(live.view(), metric_of(input), grid_settings(spec));
  solution.codes = round_to_grid<T>(live.view(), solution.grid);
  finish<T>(live.view(), input, nullptr, spec, solution);
  return solution;
}

#define CONSTRICTOR_INSTANTIATE(T)                                                                 \
  template const Solver<T>& solver(Method);                                                        \
  template Matrix<T> live_weight(View<const T>, const InputSide<T>&);                              \
  template Matrix<T> target_weight(View<const T>, const InputSide<T>&, const QuantSpec&);          \
  template void finish(View<const T>, const InputSide<T>&, const OutputSide<T>*, const QuantSpec&, \
                       Solution<T>&);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::quant
