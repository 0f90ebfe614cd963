// SPDX-License-Identifier: Apache-2.0
// GPTQ (Frantar et al., ICLR 2023); with sequential drift GPTAQ (arXiv 2504.02692).
#include "quant/solvers.hpp"
#include "quant/sweep.hpp"

namespace constrictor::quant {

template <class T>
Solution<T> solve_gptq(View<const T> W, const InputSide<T>& input, const OutputSide<T>*,
                       const QuantSpec& spec) {
  const auto live = live_weight(W, input);
  const auto target = target_weight<T>(live.view(), input, spec);
  Solution<T> solution;
  solution.grid = fit_grid<T>(target.view(), metric_of(input), grid_settings(spec));
  solution.codes = sweep<T>(target.view(), input, solution.grid, spec.beam);
  finish<T>(live.view(), input, nullptr, spec, solution);
  return solution;
}

template Solution<float> solve_gptq(View<const float>, const InputSide<float>&,
                                    const OutputSide<float>*, const QuantSpec&);
template Solution<double> solve_gptq(View<const double>, const InputSide<double>&,
                                     const OutputSide<double>*, const QuantSpec&);

}  // namespace constrictor::quant
