// SPDX-License-Identifier: Apache-2.0
#pragma once
// What tests of the solvers on the device share.
#include "data/device_factored.hpp"
#include "hessian/damped.hpp"
#include "quant/solvers.hpp"
#include "tests/gpu/on_device.hpp"
#include "tests/unit/quant/random_problem.hpp"

namespace constrictor::test {

inline DeviceInputSide on_device(const device::Context& gpu, const InputSide<float>& side) {
  const auto copy = [&](const Matrix<float>& m) {
    return device::uploaded<float>(gpu, m.view(), "a side of the test");
  };
  DeviceInputSide to;
  to.H = copy(side.H);
  to.D = copy(side.D);
  to.shift = copy(side.shift);
  to.R = copy(side.R);
  to.U = copy(side.U);
  to.P = copy(side.P);
  to.order = side.order;
  to.dead = side.dead;
  return to;
}

/// A side whose drift is small beside H.
inline InputSide<float> random_side(Index in, unsigned seed,
                                    const hessian::FactorSettings& settings) {
  const auto H = quant::random_hessian<float>(in, seed);
  auto D = quant::random_matrix<float>(in, in, seed + 1);
  for (float& v : D.values()) v *= 0.3f / std::sqrt(float(in));
  return hessian::factor_input<float>(H.view(), D.view(), settings, "test");
}

/// Counts agreements; at least `share` of everything compared.
class Agreement {
 public:
  void compare(bool equal) {
    equal_ += equal;
    ++all_;
  }
  template <class T>
  void compare(const Matrix<T>& a, const Matrix<T>& b) {
    ASSERT_EQ(a.rows(), b.rows());
    ASSERT_EQ(a.cols(), b.cols());
    for (Index i = 0; i < a.size(); ++i) compare(a.data()[i] == b.data()[i]);
  }
  void add(const Agreement& other) {
    equal_ += other.equal_;
    all_ += other.all_;
  }
  double share() const { return all_ == 0 ? 1 : double(equal_) / double(all_); }
  Index different() const { return all_ - equal_; }
  Index compared() const { return all_; }

 private:
  Index equal_ = 0, all_ = 0;
};

}  // namespace constrictor::test
