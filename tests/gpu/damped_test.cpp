// SPDX-License-Identifier: Apache-2.0
#include "hessian/damped_gpu.hpp"
#include "kernels/scan.hpp"
#include "linalg/gemm.hpp"
#include "tests/gpu/device_matrices.hpp"

namespace constrictor::hessian {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// (2 / tokens) X'X of random tokens whose inputs have very different sizes.
Matrix<float> random_hessian(Index n, Index tokens) {
  auto X = test::normal_matrix<float>(tokens, n, 5);
  for (Index t = 0; t < tokens; ++t)
    for (Index i = 0; i < n; ++i)
      X(t, i) *=
          (0.2f + static_cast<float>(i * 7 % 11)) * std::sqrt(2.f / static_cast<float>(tokens));
  Matrix<float> H(n, n);
  linalg::add_cross<float>(X.view(), X.view(), H.view(), 0);
  for (Index r = 0; r < n; ++r)
    for (Index c = 0; c < r; ++c) H(r, c) = H(c, r);
  return H;
}

struct DampedOnDevice : test::DeviceMatrices {
  using FactorOnHost = InputSide<float>(View<const float>, View<const float>, const FactorSettings&,
                                        const std::string&);
  void check(const Matrix<float>& H, const Matrix<float>& D, const FactorSettings& settings,
             double tolerance) {
    const auto wanted = factor_input<float>(H.view(), D.view(), settings, "layer");
    compare(factor_input(gpu, on_device(H), on_device(D), settings, "layer"), wanted, tolerance);
  }
  void compare(const DeviceInputSide& found, const InputSide<float>& wanted, double tolerance) {
    const auto near = [&](const device::DeviceMatrix<float>& f, const Matrix<float>& w,
                          double limit, const char* what) {
      ASSERT_EQ(f.rows(), w.rows()) << what;
      EXPECT_LE(test::error_of(on_host(f), w), limit) << what;
    };
    near(found.H, wanted.H, 0, "H");
    near(found.D, wanted.D, 0, "D");
    near(found.R, wanted.R, tolerance, "R");
    near(found.U, wanted.U, tolerance, "U");
    near(found.P, wanted.P, tolerance, "P");
    near(found.shift, wanted.shift, tolerance, "shift");
    EXPECT_EQ(found.order, wanted.order);
    EXPECT_EQ(found.dead, wanted.dead);
    EXPECT_EQ(found.damping, wanted.damping);
    EXPECT_EQ(found.retries, wanted.retries);
    EXPECT_EQ(found.second_try_in_double, wanted.second_try_in_double);
    EXPECT_LE(std::abs(found.condition / wanted.condition - 1), tolerance);
  }
  /// What both backends say about the same input.
  void same_words(const Matrix<float>& H, const Matrix<float>& D, const FactorSettings& settings,
                  const char* part) {
    std::string host = "nothing", device = "nothing";
    try {
      factor_input<float>(H.view(), D.view(), settings, "block 3 layer q_proj");
    } catch (const NumericalError& error) {
      host = error.what();
    }
    try {
      factor_input(gpu, on_device(H), on_device(D), settings, "block 3 layer q_proj");
    } catch (const NumericalError& error) {
      device = error.what();
    }
    EXPECT_EQ(host, device);
    EXPECT_NE(device.find(part), std::string::npos) << device;
  }
};

TEST_F(DampedOnDevice, InputSideIsThatOfTheOracle) {
  for (const Index n : {1, 13, 61, 300}) {
    const auto H = random_hessian(n, 3 * n), D = test::normal_matrix<float>(n, n, 9);
    for (const Order order : {Order::original, Order::descending, Order::pivoted})
      for (const Drift drift : {Drift::none, Drift::sequential, Drift::exact}) {
        if (n == 300 && (order == Order::original || drift != Drift::sequential)) continue;
        FactorSettings settings;
        settings.drift = drift, settings.column_order = order;
        settings.shift_wanted = drift == Drift::exact || n >= 61;
        check(H, D, settings, 2e-5);
      }
  }
}

TEST_F(DampedOnDevice, NoInputsAtAll) {
  const auto side = factor_input(gpu, {}, {}, {}, "layer");
  EXPECT_TRUE(side.U.empty());
  EXPECT_EQ(side.retries, 0);
}

TEST_F(DampedOnDevice, DeadInputsGetTheirEntryAndNoDrift) {
  auto H = random_hessian(31, 100);
  for (const Index dead : {Index(4), Index(30)})
    for (Index i = 0; i < 31; ++i) H(i, dead) = H(dead, i) = 0;
  FactorSettings settings;
  settings.length = 8, settings.drift = Drift::sequential;
  const auto D = test::normal_matrix<float>(31, 31, 9);
  check(H, D, settings, 2e-5);
  const auto side = factor_input(gpu, on_device(H), on_device(D), settings, "layer");
  EXPECT_EQ(side.dead, (std::vector<Index>{4, 30}));
  const auto drift = on_host(side.D);
  for (Index r = 0; r < 31; ++r) EXPECT_EQ(drift(r, 4), 0);
}

TEST_F(DampedOnDevice, DriftThatIsZeroEverywhereCostsNothing) {
  FactorSettings settings;
  settings.drift = Drift::sequential;
  Matrix<float> D(40, 40);
  check(random_hessian(40, 99), D, settings, 2e-5);
  const auto side =
      factor_input(gpu, on_device(random_hessian(40, 99)), on_device(D), settings, "layer");
  EXPECT_TRUE(side.D.empty());
  EXPECT_TRUE(side.P.empty());
  D(39, 39) = 1e-30f;
  EXPECT_FALSE(factor_input(gpu, on_device(random_hessian(40, 99)), on_device(D), settings, "layer")
                   .D.empty());
}

TEST_F(DampedOnDevice, DampingIsRaisedAsOftenAsOnTheCpu) {
  for (const float correlation : {1.02f, 1.5f, 3.f}) {  // indefinite until the damping is large
    Matrix<float> H(5, 5);
    for (Index i = 0; i < 5; ++i) H(i, i) = 1;
    H(1, 3) = H(3, 1) = correlation;
    FactorSettings settings;
    const auto side = factor_input(gpu, on_device(H), {}, settings, "layer");
    EXPECT_EQ(side.retries, correlation < 1.1f ? 1 : correlation < 2 ? 2 : 3);
    check(H, {}, settings, 2e-5);
  }
}

TEST_F(DampedOnDevice, TheSecondTryIsInDouble) {
  // Pairs of rows [a b; b c] with c the next float above b²/a: positive definite, but in float32 the
  // sign of c - b²/a is left to the rounding of square root and quotient, thirty times over.
  Matrix<float> H(60, 60);
  for (Index k = 0; k < 30; ++k) {
    const float a = float(2 * k + 3), b = 4097;
    H(2 * k, 2 * k) = a;
    H(2 * k, 2 * k + 1) = H(2 * k + 1, 2 * k) = b;
    const double quotient = double(b) * double(b) / double(a);
    float c = float(quotient);
    while (double(c) <= quotient) c = std::nextafter(c, 1e9f);
    H(2 * k + 1, 2 * k + 1) = c;
  }
  FactorSettings settings;
  settings.damping = 1e-30;
  const auto side = factor_input(gpu, on_device(H), {}, settings, "layer");
  EXPECT_TRUE(side.second_try_in_double);
  EXPECT_EQ(side.retries, 0);
  check(H, {}, settings, 0.02);
}

TEST_F(DampedOnDevice, SpeaksTheWordsOfTheOracle) {
  const auto H = random_hessian(37, 100);
  FactorSettings settings;
  settings.drift = Drift::sequential;
  auto broken = H;
  broken(20, 3) = nan;
  broken(5, 36) = std::numeric_limits<float>::infinity();
  same_words(broken, {}, settings, "H_in holds NaN or Inf at [5, 36]");
  auto D = test::normal_matrix<float>(37, 37, 9);
  D(36, 0) = nan;
  same_words(H, D, settings, "the drift D holds NaN or Inf at [36, 0]");
  auto hopeless = H;
  hopeless(0, 1) = hopeless(1, 0) = 1e20f;
  same_words(hopeless, {}, settings, "could not be factored");
  EXPECT_THROW(factor_input(gpu, on_device(hopeless), {}, settings, "layer"), FactorizationError);
}

TEST_F(DampedOnDevice, PlainRoundingHasARootWhereThereIsOne) {
  FactorSettings settings;
  settings.drift = Drift::exact;
  auto H = random_hessian(67, 200);
  const auto D = test::normal_matrix<float>(67, 67, 9);
  compare(damp_input(gpu, on_device(H), on_device(D), settings, "layer"),
          damp_input<float>(H.view(), D.view(), settings, "layer"), 2e-5);
  H(0, 1) = H(1, 0) = 1e20f;
  EXPECT_TRUE(damp_input(gpu, on_device(H), on_device(D), settings, "layer").R.empty());
}

TEST_F(DampedOnDevice, TheFirstOfManyIsFound) {
  Matrix<float> M(1100, 3);  // more rows than blocks
  EXPECT_EQ(kernels::first_not_finite(gpu, on_device(M).view()), -1);
  EXPECT_EQ(kernels::first_not_zero(gpu, on_device(M).view()), -1);
  M(1099, 2) = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(kernels::first_not_finite(gpu, on_device(M).view()), 1099 * 3 + 2);
  M(1050, 1) = nan, M(77, 2) = 5;
  EXPECT_EQ(kernels::first_not_finite(gpu, on_device(M).view()), 1050 * 3 + 1);
  EXPECT_EQ(kernels::first_not_zero(gpu, on_device(M).view()), 77 * 3 + 2);
}

}  // namespace
}  // namespace constrictor::hessian
