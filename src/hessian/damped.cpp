// SPDX-License-Identifier: Apache-2.0
#include "hessian/damped.hpp"

#include <algorithm>
#include <cmath>

#include "hessian/damping.hpp"
#include "linalg/factor.hpp"
#include "linalg/gemm.hpp"
#include "linalg/pivoted_order.hpp"

namespace constrictor::hessian {
namespace {

template <class T>
void require_finite(View<const T> M, const std::string& name, const char* what) {
  for (Index r = 0; r < M.rows; ++r)
    for (Index c = 0; c < M.cols; ++c)
      if (!std::isfinite(M(r, c))) raise_not_finite(name, what, r, c);
}

template <class T>
std::vector<T> diagonal_of(const Matrix<T>& M) {
  std::vector<T> d(static_cast<std::size_t>(M.rows()));
  for (Index i = 0; i < M.rows(); ++i) d[static_cast<std::size_t>(i)] = M(i, i);
  return d;
}
template <class T>
void set_diagonal(const std::vector<T>& d, Matrix<T>& M) {
  for (Index i = 0; i < M.rows(); ++i) M(i, i) = d[static_cast<std::size_t>(i)];
}

template <class T>
Matrix<T> reordered(View<const T> M, const std::vector<std::int32_t>& order) {
  auto out = Matrix<T>::uninitialized(M.rows, M.cols);
  for (Index r = 0; r < M.rows; ++r)
    for (Index c = 0; c < M.cols; ++c)
      out(r, c) = order.empty()
                      ? M(r, c)
                      : M(order[static_cast<std::size_t>(r)], order[static_cast<std::size_t>(c)]);
  return out;
}

/// Orders and factors damped H; a pivoted order is that of this very H, so that it is found anew
/// whenever the damping was raised.
template <class T>
bool order_and_factor(View<const T> H, Order how, std::vector<std::int32_t>& order, View<T> U,
                      View<T> R) {
  if (how == Order::pivoted && !linalg::pivoted_order<T>(H, order)) return false;
  return linalg::inverse_factor<T>(reordered<T>(H, order).view(), U, R);
}

bool factor_in_double(View<const float> H, Order how, std::vector<std::int32_t>& order,
                      View<float> U, View<float> R) {
  Matrix<double> wide(U.rows, U.cols), wide_root(R.rows, R.cols);
  if (!order_and_factor<double>(converted<double>(H).view(), how, order, wide.view(),
                                wide_root.view()))
    return false;
  for (Index r = 0; r < U.rows; ++r)
    for (Index c = 0; c < U.cols; ++c) U(r, c) = static_cast<float>(wide(r, c));
  for (Index r = 0; r < R.rows; ++r)
    for (Index c = 0; c < R.cols; ++c) R(r, c) = static_cast<float>(wide_root(r, c));
  return true;
}
bool factor_in_double(View<const double>, Order, std::vector<std::int32_t>&, View<double>,
                      View<double>) {
  return false;
}  // it was double already

/// Adds the damping to H (in place), orders and factors it, raising the damping until that works.
template <class T>
Attempt damp_and_factor(Matrix<T>& H, Matrix<T>& U, Matrix<T>& R, std::vector<std::int32_t>& order,
                        Order how, double damping, const std::string& name) {
  const auto diagonal = diagonal_of(H);
  if (how == Order::descending) order = descending(diagonal);  // damping does not change it
  U = Matrix<T>::uninitialized(H.rows(), H.rows());
  return damp_until_factored(diagonal, damping, name, [&](const std::vector<T>& damped_diagonal) {
    set_diagonal(damped_diagonal, H);
    const auto raw = read_only(H.view());
    if (order_and_factor<T>(raw, how, order, U.view(), R.view())) return Factored::yes;
    return factor_in_double(raw, how, order, U.view(), R.view()) ? Factored::in_double
                                                                 : Factored::no;
  });
}

template <class T>
bool all_zero(View<const T> M) {
  for (Index r = 0; r < M.rows; ++r)
    if (std::any_of(M.row(r), M.row(r) + M.cols, [](T v) { return v != T(0); })) return false;
  return true;
}

/// Checks, copies, and gives dead inputs their diagonal entry; no damping yet.
template <class T>
InputSide<T> checked_input(View<const T> H, View<const T> D, Index length,
                           const std::string& name) {
  require_finite(H, name, "H_in");
  require_finite(D, name, "the drift D");
  InputSide<T> side;
  side.H = Matrix<T>(H);
  auto diagonal = diagonal_of(side.H);
  side.dead = revive_dead(diagonal, length);
  set_diagonal(diagonal, side.H);
  return side;
}

/// Sets side.D = alpha D. Block 0 has seen no quantized layer: its drift is exactly zero and costs
/// nothing.
template <class T>
bool take_drift(View<const T> D, const FactorSettings& settings, InputSide<T>& side) {
  if (settings.drift == Drift::none || settings.alpha == 0 || D.size() == 0 || all_zero(D))
    return false;
  side.D = Matrix<T>(D);
  side.alpha = settings.alpha;
  for (T& v : side.D.values()) v *= T(settings.alpha);
  for (const Index dead : side.dead)
    for (Index r = 0; r < side.D.rows(); ++r) side.D(r, dead) = 0;
  return true;
}

}  // namespace

template <class T>
InputSide<T> damp_input(View<const T> H, View<const T> D, const FactorSettings& settings,
                        const std::string& name) {
  auto side = checked_input(H, D, settings.length, name);
  set_diagonal(damped(diagonal_of(side.H), settings.damping), side.H);
  side.R = Matrix<T>::uninitialized(H.rows, H.rows);
  if (!linalg::upper_root<T>(side.H.view(), side.R.view())) side.R = {};
  side.damping = settings.damping;
  take_drift(D, settings, side);
  return side;
}

template <class T>
InputSide<T> factor_input(View<const T> H, View<const T> D, const FactorSettings& settings,
                          const std::string& name) {
  auto side = checked_input(H, D, settings.length, name);
  side.R = Matrix<T>::uninitialized(H.rows, H.rows);
  const Attempt attempt = damp_and_factor(side.H, side.U, side.R, side.order, settings.column_order,
                                          settings.damping, name);
  side.damping = attempt.damping;
  side.retries = attempt.retries;
  side.second_try_in_double = attempt.in_double;
  side.condition = linalg::condition_estimate<T>(side.U.view());
  if (!take_drift(D, settings, side)) return side;
  if (settings.drift == Drift::sequential)
    side.P =
        linalg::drift_propagator<T>(reordered<T>(side.D.view(), side.order).view(), side.U.view());
  if (settings.shift_wanted) {
    const auto inverse = linalg::inverse_from_factor<T>(side.U.view());  // in sweep order
    side.shift = linalg::product<T>(side.D.view(),
                                    reordered<T>(inverse.view(), inverse_order(side.order)).view());
  }
  return side;
}

template <class T>
OutputSide<T> factor_output(View<const T> H, double damping, Order row_order,
                            const std::string& name) {
  require_finite(H, name, "H_out");
  OutputSide<T> side;
  side.H = Matrix<T>(H);
  for (Index i = 0; i < H.rows; ++i)
    if (H(i, i) == T(0)) side.H(i, i) = 1;
  Matrix<T> no_root;
  const Attempt attempt =
      damp_and_factor(side.H, side.U, no_root, side.order, row_order, damping, name + " (H_out)");
  side.damping = attempt.damping;
  side.retries = attempt.retries;
  return side;
}

template InputSide<float> damp_input(View<const float>, View<const float>, const FactorSettings&,
                                     const std::string&);
template InputSide<double> damp_input(View<const double>, View<const double>, const FactorSettings&,
                                      const std::string&);
template InputSide<float> factor_input(View<const float>, View<const float>, const FactorSettings&,
                                       const std::string&);
template InputSide<double> factor_input(View<const double>, View<const double>,
                                        const FactorSettings&, const std::string&);
template OutputSide<float> factor_output(View<const float>, double, Order, const std::string&);
template OutputSide<double> factor_output(View<const double>, double, Order, const std::string&);

}  // namespace constrictor::hessian
