// SPDX-License-Identifier: Apache-2.0
#include "linalg/factor.hpp"

#include "linalg/factor_gpu.hpp"
#include "linalg/gemm.hpp"
#include "tests/gpu/device_matrices.hpp"

namespace constrictor::linalg {
namespace {

/// R(i, j) = 1 + i / n on the diagonal, 1 / (1 + j - i) / 8 above it.
template <class T>
Matrix<T> known_root(Index n) {
  Matrix<T> R(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = i; j < n; ++j) R(i, j) = i == j ? T(1) + T(i) / T(n) : T(0.125) / T(1 + j - i);
  return R;
}
template <class T>
Matrix<T> hessian_of(const Matrix<T>& R) {
  Matrix<T> H(R.rows(), R.rows());
  gemm<T>(Transpose::no, Transpose::yes, T(1), R.view(), R.view(), T(0), H.view());
  return H;
}

template <class T>
struct FactorOnDevice : test::DeviceMatrices {
  static constexpr double epsilon = std::numeric_limits<T>::epsilon();
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(FactorOnDevice, Scalars);

// 521 and 1031 are inverted by halves.
TYPED_TEST(FactorOnDevice, IsTheInverseOfTheKnownRoot) {
  using T = TypeParam;
  for (const Index n : {0, 1, 2, 127, 521, 1031}) {
    if (n > 600 && sizeof(T) == 8) continue;
    const auto root = known_root<T>(n), H = hessian_of(root);
    const auto device_H = this->on_device(H);
    device::DeviceMatrix<T> U(this->gpu, n, n, "U"), R(this->gpu, n, n, "R");
    ASSERT_TRUE(inverse_factor<T>(this->gpu, device_H.view(), U.view(), R.view())) << n;
    const double tolerance = 4 * std::sqrt(static_cast<double>(n + 1)) * this->epsilon;
    EXPECT_LE(test::error_of(this->on_host(R), root), tolerance) << n;
    const auto found = this->on_host(U);
    Matrix<T> wanted(n, n), no_root;
    ASSERT_TRUE(inverse_factor<T>(H.view(), wanted.view(), no_root.view()));
    EXPECT_LE(test::error_of(found, wanted), tolerance) << n;
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < i; ++j) ASSERT_EQ(found(i, j), T(0)) << i << ", " << j;
    EXPECT_NEAR(condition_estimate<T>(this->gpu, read_only(U.view())),
                condition_estimate<T>(wanted.view()), 1e-3);
    device::DeviceMatrix<T> alone(this->gpu, n, n, "R"), without_root(this->gpu, n, n, "U");
    ASSERT_TRUE(upper_root<T>(this->gpu, device_H.view(), alone.view()));
    EXPECT_EQ(test::error_of(this->on_host(alone), this->on_host(R)), 0) << n;
    ASSERT_TRUE(inverse_factor<T>(this->gpu, device_H.view(), without_root.view(), {}));
    EXPECT_EQ(test::error_of(this->on_host(without_root), found), 0) << n;
  }
}

TYPED_TEST(FactorOnDevice, RefusesWhatIsNotPositiveDefinite) {
  using T = TypeParam;
  const auto refused = [&](const Matrix<T>& H) {
    const auto device_H = this->on_device(H);
    device::DeviceMatrix<T> U(this->gpu, H.rows(), H.rows(), "U");
    return !inverse_factor<T>(this->gpu, device_H.view(), U.view(), {}) &&
           !upper_root<T>(this->gpu, device_H.view(), U.view());
  };
  Matrix<T> H(3, 3);
  EXPECT_TRUE(refused(H));
  H(0, 0) = H(1, 1) = H(2, 2) = 1;
  EXPECT_FALSE(refused(H));
  H(0, 1) = H(1, 0) = 2;
  EXPECT_TRUE(refused(H));
  H(0, 1) = H(1, 0) = std::numeric_limits<T>::quiet_NaN();
  EXPECT_TRUE(refused(H));
  H(0, 1) = H(1, 0) = 0;
  H(1, 1) = std::numeric_limits<T>::infinity();
  EXPECT_TRUE(refused(H));
}

TYPED_TEST(FactorOnDevice, ProductsWithTheDriftAreTheirDefinitions) {
  using T = TypeParam;
  for (const Index n : {0, 1, 5, 307}) {
    const auto U = known_root<T>(n), D = test::normal_matrix<T>(n, n, 7);
    const auto device_U = this->on_device(U), device_D = this->on_device(D);
    const double tolerance = 4 * std::sqrt(static_cast<double>(n + 1)) * this->epsilon;
    Matrix<T> DU(n, n);
    gemm<T>(Transpose::no, Transpose::yes, T(1), D.view(), U.view(), T(0), DU.view());
    const auto found = drift_times_factor<T>(this->gpu, device_D.view(), device_U.view());
    EXPECT_LE(test::error_of(this->on_host(found), DU), tolerance) << n;
    EXPECT_LE(
        test::error_of(this->on_host(drift_propagator<T>(this->gpu, found.view(), device_U.view())),
                       drift_propagator<T>(D.view(), U.view())),
        tolerance)
        << n;
    EXPECT_LE(test::error_of(
                  this->on_host(drift_times_inverse<T>(this->gpu, found.view(), device_U.view())),
                  product<T>(DU.view(), U.view())),
              tolerance)
        << n;
  }
}

}  // namespace
}  // namespace constrictor::linalg
