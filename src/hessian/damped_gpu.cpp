// SPDX-License-Identifier: Apache-2.0
#include "hessian/damped_gpu.hpp"

#include "hessian/damping.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/convert.hpp"
#include "kernels/permute.hpp"
#include "kernels/scan.hpp"
#include "kernels/triangle.hpp"
#include "linalg/factor_gpu.hpp"
#include "linalg/pivoted_order_gpu.hpp"

namespace constrictor::hessian {
namespace {

using device::DeviceMatrix;

void require_finite(const device::Context& gpu, const DeviceMatrix<float>& M,
                    const std::string& name, const char* what) {
  const Index at = kernels::first_not_finite(gpu, M.view());
  if (at >= 0) raise_not_finite(name, what, at / M.cols(), at % M.cols());
}

std::vector<float> diagonal_of(const device::Context& gpu, const DeviceMatrix<float>& M) {
  DeviceMatrix<float> d(gpu, 1, M.rows(), "the diagonal of a Hessian");
  kernels::diagonal(gpu.main(), M.view(), d.view());
  const auto host = device::downloaded<float>(gpu, d.view());
  return {host.values().begin(), host.values().end()};
}
void set_diagonal(const device::Context& gpu, const std::vector<float>& d, DeviceMatrix<float>& M) {
  const auto values = device::uploaded(gpu, d, "the diagonal of a Hessian");
  kernels::set_diagonal(gpu.main(), values.view(), M.view());
}

/// M in another order; an empty order gives a copy.
DeviceMatrix<float> reordered(const device::Context& gpu, const DeviceMatrix<float>& M,
                              const std::vector<std::int32_t>& order) {
  if (order.empty()) return device::copied<float>(gpu, M.view(), "a statistic in sweep order");
  const auto positions = device::uploaded(gpu, order, "the order of columns");
  DeviceMatrix<float> out(gpu, M.rows(), M.cols(), "a statistic in sweep order");
  kernels::gather<float>(gpu.main(), M.view(), {positions.data(), positions.data()}, out.view());
  return out;
}

/// Orders and factors damped H; a pivoted order is that of this very H, so that it is found anew
/// whenever the damping was raised.
bool order_and_factor(const device::Context& gpu, const DeviceMatrix<float>& H, Order how,
                      DeviceInputSide& side) {
  if (how == Order::pivoted && !linalg::pivoted_order<float>(gpu, H.view(), side.order))
    return false;
  DeviceMatrix<float> other;
  if (!side.order.empty()) other = reordered(gpu, H, side.order);
  const auto& in_sweep_order = side.order.empty() ? H : other;
  return linalg::inverse_factor<float>(gpu, in_sweep_order.view(), side.U.view(), side.R.view());
}

bool factor_in_double(const device::Context& gpu, const DeviceMatrix<float>& H, Order how,
                      DeviceInputSide& side) {
  const Index n = H.rows();
  if (how == Order::pivoted) {
    DeviceMatrix<double> wide_H(gpu, n, n, "a Hessian in float64");
    kernels::convert<float, double>(gpu.main(), H.view(), wide_H.view());
    if (!linalg::pivoted_order<double>(gpu, read_only(wide_H.view()), side.order)) return false;
  }
  DeviceMatrix<double> wide_root(gpu, n, n, "the root of a Hessian in float64"),
      wide(gpu, n, n, "the inverse factor in float64");
  {
    DeviceMatrix<float> other;
    if (!side.order.empty()) other = reordered(gpu, H, side.order);
    DeviceMatrix<double> wide_H(gpu, n, n, "a Hessian in float64");
    kernels::convert<float, double>(
        gpu.main(), side.order.empty() ? H.view() : read_only(other.view()), wide_H.view());
    if (!linalg::inverse_factor<double>(gpu, read_only(wide_H.view()), wide.view(),
                                        wide_root.view()))
      return false;
  }
  kernels::convert<double, float>(gpu.main(), read_only(wide.view()), side.U.view());
  kernels::convert<double, float>(gpu.main(), read_only(wide_root.view()), side.R.view());
  return true;
}

/// Checks, and gives dead inputs their diagonal entry; no damping yet.
DeviceInputSide checked_input(const device::Context& gpu, DeviceMatrix<float> H,
                              const DeviceMatrix<float>& D, const std::string& name) {
  CONSTRICTOR_REQUIRE(H.rows() == H.cols() && (D.empty() || D.rows() == H.rows()), H.rows(),
                      H.cols(), D.rows());
  require_finite(gpu, H, name, "H_in");
  require_finite(gpu, D, name, "the drift D");
  DeviceInputSide side;
  side.H = std::move(H);
  return side;
}

/// Sets side.D = alpha D. Block 0 has seen no quantized layer: its drift is exactly zero and costs
/// nothing.
bool take_drift(const device::Context& gpu, DeviceMatrix<float> D, const FactorSettings& settings,
                DeviceInputSide& side) {
  if (settings.drift == Drift::none || settings.alpha == 0 || D.empty() ||
      kernels::first_not_zero(gpu, D.view()) < 0)
    return false;
  side.alpha = settings.alpha;
  kernels::scale(gpu.main(), settings.alpha, D.view());
  if (!side.dead.empty()) {
    const auto columns = device::uploaded(gpu, side.dead, "the numbers of dead inputs");
    kernels::clear_columns(gpu.main(), columns.view(), D.view());
  }
  side.D = std::move(D);
  return true;
}

/// The two products with the drift that the settings ask for.
void use_drift(const device::Context& gpu, const FactorSettings& settings, DeviceInputSide& side) {
  const bool sequential = settings.drift == Drift::sequential;
  if (!sequential && !settings.shift_wanted) return;
  const auto U = read_only(side.U.view());
  DeviceMatrix<float> DU;
  {
    DeviceMatrix<float> in_sweep_order;
    if (!side.order.empty()) in_sweep_order = reordered(gpu, side.D, side.order);
    const auto& D = side.order.empty() ? side.D : in_sweep_order;
    DU = linalg::drift_times_factor<float>(gpu, D.view(), U);
  }
  if (sequential) side.P = linalg::drift_propagator<float>(gpu, read_only(DU.view()), U);
  if (!settings.shift_wanted) return;
  side.shift = linalg::drift_times_inverse<float>(gpu, read_only(DU.view()), U);
  if (!side.order.empty()) side.shift = reordered(gpu, side.shift, inverse_order(side.order));
}

}  // namespace

DeviceInputSide damp_input(const device::Context& gpu, DeviceMatrix<float> H, DeviceMatrix<float> D,
                           const FactorSettings& settings, const std::string& name) {
  auto side = checked_input(gpu, std::move(H), D, name);
  auto diagonal = diagonal_of(gpu, side.H);
  side.dead = revive_dead(diagonal, settings.length);
  set_diagonal(gpu, damped(diagonal, settings.damping), side.H);
  const Index n = side.H.rows();
  side.R = DeviceMatrix<float>(gpu, n, n, "the root of a Hessian");
  if (!linalg::upper_root<float>(gpu, read_only(side.H.view()), side.R.view())) side.R = {};
  side.damping = settings.damping;
  take_drift(gpu, std::move(D), settings, side);
  return side;
}

DeviceInputSide factor_input(const device::Context& gpu, DeviceMatrix<float> H,
                             DeviceMatrix<float> D, const FactorSettings& settings,
                             const std::string& name) {
  auto side = checked_input(gpu, std::move(H), D, name);
  const Index n = side.H.rows();
  auto diagonal = diagonal_of(gpu, side.H);
  side.dead = revive_dead(diagonal, settings.length);
  if (settings.column_order == Order::descending) side.order = descending(diagonal);
  side.R = DeviceMatrix<float>(gpu, n, n, "the root of a Hessian");
  side.U = DeviceMatrix<float>(gpu, n, n, "the inverse factor");
  const auto attempt =
      damp_until_factored(diagonal, settings.damping, name, [&](const std::vector<float>& d) {
        set_diagonal(gpu, d, side.H);
        if (order_and_factor(gpu, side.H, settings.column_order, side)) return Factored::yes;
        return factor_in_double(gpu, side.H, settings.column_order, side) ? Factored::in_double
                                                                          : Factored::no;
      });
  side.damping = attempt.damping;
  side.retries = attempt.retries;
  side.second_try_in_double = attempt.in_double;
  side.condition = linalg::condition_estimate<float>(gpu, read_only(side.U.view()));
  if (take_drift(gpu, std::move(D), settings, side)) use_drift(gpu, settings, side);
  return side;
}

}  // namespace constrictor::hessian
