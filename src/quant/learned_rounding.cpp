// SPDX-License-Identifier: Apache-2.0
#include "quant/learned_rounding.hpp"

#include <algorithm>
#include <cmath>

#include "core/stop_flag.hpp"
#include "kernels/learned_rounding.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

using linalg::gemm;
using linalg::Transpose;

constexpr double whole_steps = 10;                // in a unit
constexpr double warm_up = 0.2;                   // share of the steps
constexpr double first_beta = 20, last_beta = 2;  // of the second term

template <class T>
class LearnedRounding {
 public:
  explicit LearnedRounding(const RoundingProblem<T>& problem)
      : problem_(problem),
        base_(problem.W.rows, problem.W.cols),
        offset_(base_),
        v_(base_),
        sigmoid_(base_),
        mean_(base_),
        square_(base_),
        error_(base_),
        share_(problem.W.rows, 1) {
    const auto& grid = problem.grid;
    for (Index r = 0; r < base_.rows(); ++r)
      for (Index c = 0; c < base_.cols(); ++c) {
        const T scale = grid.scale(r, c / grid.group_size),
                zero = grid.zero(r, c / grid.group_size);
        const T steps = problem.compensated(r, c) / scale, low = std::floor(steps);
        const T base = std::clamp(low + zero, T(0), grid.top);
        base_(r, c) = base;
        offset_(r, c) = scale * (base - zero) - problem.W(r, c);
        // Outside the grid there is nothing to choose: h stays 0, where its slope is 0.
        const bool open = low + zero >= T(0) && low + zero < grid.top;
        const T share = (steps - low - T(kernels::sigmoid_shift)) / T(kernels::sigmoid_stretch);
        v_(r, c) = open ? std::log(share / (T(1) - share)) : T(-20);
      }
    const auto units = rounding_units(problem);
    for (Index r = 0; r < base_.rows(); ++r)
      share_(r, 0) = T(2 / units[static_cast<std::size_t>(r)]);
    if (!problem.input.D.empty()) drift_ = linalg::product<T>(problem.W, problem.input.D.view());
    kernels::set_rounding(terms(), state());
  }

  LearnedCodes run(Index steps, double rate, double lambda) {
    LearnedCodes result;
    const auto start = static_cast<Index>(warm_up * static_cast<double>(steps));
    result.undecided = base_.size();
    for (; result.steps < steps && result.undecided > 0; ++result.steps) {
      leave_when_asked();  // a large tile takes minutes
      const Index t = result.steps;
      const double part = static_cast<double>(t - start) / static_cast<double>(steps - start);
      const auto number = static_cast<double>(t + 1);
      result.undecided =
          kernels::rounding_step<T>({.rate = T(rate),
                                     .first = T(1 - std::pow(0.9, number)),
                                     .second = T(1 - std::pow(0.999, number)),
                                     .lambda = T(t < start ? 0 : lambda),
                                     .beta = T(first_beta + (last_beta - first_beta) * part)},
                                    terms(), half_gradient(), state());
    }
    result.codes = rounded();
    return result;
  }

 private:
  kernels::RoundingTerms<T> terms() const {
    return {problem_.grid.scale.view(), problem_.grid.group_size, offset_.view(), share_.view()};
  }
  kernels::RoundingState<T> state() {
    return {v_.view(), sigmoid_.view(), mean_.view(), square_.view(), error_.view()};
  }

  /// H_out (dW H_in - W D).
  View<const T> half_gradient() {
    if (product_.empty()) product_ = Matrix<T>(base_.rows(), base_.cols());
    if (!drift_.empty()) std::copy(drift_.data(), drift_.data() + drift_.size(), product_.data());
    gemm<T>(Transpose::no, Transpose::no, T(1), read_only(error_.view()), problem_.input.H.view(),
            T(drift_.empty() ? 0 : -1), product_.view());
    if (problem_.output == nullptr) return product_.view();
    if (weighed_.empty()) weighed_ = Matrix<T>(base_.rows(), base_.cols());
    gemm<T>(Transpose::no, Transpose::no, T(1), problem_.output->H.view(),
            read_only(product_.view()), T(0), weighed_.view());
    return weighed_.view();
  }

  Matrix<std::uint8_t> rounded() const {
    auto codes = Matrix<std::uint8_t>::uninitialized(base_.rows(), base_.cols());
    for (Index i = 0; i < codes.size(); ++i)  // h >= 1/2 where sigmoid >= 1/2
      codes.data()[i] = static_cast<std::uint8_t>(base_.data()[i] + (v_.data()[i] >= T(0) ? 1 : 0));
    return codes;
  }

  const RoundingProblem<T>& problem_;
  Matrix<T> base_;    // codes rounded down
  Matrix<T> offset_;  // s (base - z) - W
  Matrix<T> v_, sigmoid_, mean_, square_, error_;
  Matrix<T> share_;              // [rows x 1] 2 / unit
  Matrix<T> drift_;              // W D; empty without drift
  Matrix<T> product_, weighed_;  // dW H_in - W D, and H_out times it
};

}  // namespace

template <class T>
std::vector<double> rounding_units(const RoundingProblem<T>& problem) {
  const auto& grid = problem.grid;
  const Index rows = problem.W.rows, in = problem.W.cols;
  std::vector<double> curvature(static_cast<std::size_t>(grid.groups()), 0.);  // sums of H[c,c]
  for (Index c = 0; c < in; ++c)
    curvature[static_cast<std::size_t>(c / grid.group_size)] +=
        static_cast<double>(problem.input.H(c, c));
  std::vector<double> units(static_cast<std::size_t>(rows), 0.);
  double of_head = 0;
  for (Index r = 0; r < rows; ++r) {
    double& unit = units[static_cast<std::size_t>(r)];
    for (Index g = 0; g < grid.groups(); ++g) {
      const double scale = static_cast<double>(grid.scale(r, g));
      unit += scale * scale * curvature[static_cast<std::size_t>(g)] / static_cast<double>(in);
    }
    if (problem.output != nullptr)
      of_head += unit * static_cast<double>(problem.output->H(r, r)) / static_cast<double>(rows);
  }
  if (problem.output != nullptr) std::fill(units.begin(), units.end(), of_head);
  for (double& unit : units) unit *= whole_steps;
  return units;
}

template <class T>
LearnedCodes learn_rounding(const RoundingProblem<T>& problem, const QuantSpec& spec) {
  const double lambda = spec.rounding_lambda > 0 ? spec.rounding_lambda : 1;
  return LearnedRounding<T>(problem).run(spec.rounding_steps, spec.rounding_rate, lambda);
}

#define CONSTRICTOR_INSTANTIATE(T)                                        \
  template std::vector<double> rounding_units(const RoundingProblem<T>&); \
  template LearnedCodes learn_rounding(const RoundingProblem<T>&, const QuantSpec&);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::quant
