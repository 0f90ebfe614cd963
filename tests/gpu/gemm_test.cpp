// SPDX-License-Identifier: Apache-2.0
#include "linalg/gemm_gpu.hpp"
#include "tests/gpu/device_matrices.hpp"

namespace constrictor::linalg {
namespace {

using test::normal_matrix;
using test::number;

constexpr double epsilon = std::numeric_limits<float>::epsilon();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  Index m, n, k;
};
constexpr Shape shapes[] = {{0, 3, 2}, {4, 0, 2}, {1, 1, 1}, {3, 5, 0}, {7, 61, 13}, {131, 67, 31}};

struct ProductOnDevice : test::DeviceMatrices {
  /// alpha op(A) op(B) + beta C in windows of wider matrices, against a plain triple loop.
  template <class In, class Out>
  void check(Shape shape, Transpose a, Transpose b, double alpha, double beta, double tolerance) {
    const auto [m, n, k] = shape;
    const bool ta = a == Transpose::yes, tb = b == Transpose::yes;
    const auto A = normal_matrix<In>((ta ? k : m) + 1, (ta ? m : k) + 2, 1);
    const auto B = normal_matrix<In>((tb ? n : k) + 1, (tb ? k : n) + 3, 2);
    auto C = normal_matrix<Out>(m + 1, n + 1, 3);
    if (beta == 0)
      for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < n; ++j) C(1 + i, j) = Out(nan);  // must not be read
    const auto device_A = on_device(A), device_B = on_device(B);
    auto device_C = on_device(C);
    gemm<In, Out>(gpu, a, b, alpha, device_A.view().block(0, 2, ta ? k : m, ta ? m : k),
                  device_B.view().block(1, 1, tb ? n : k, tb ? k : n), beta,
                  device_C.view().block(1, 0, m, n));
    const auto found = on_host(device_C);
    for (Index i = 0; i <= m; ++i)
      for (Index j = 0; j <= n; ++j) {
        if (i == 0 || j == n) {
          ASSERT_EQ(number(found(i, j)), number(C(i, j))) << "outside of the window";
          continue;
        }
        double sum = 0;
        for (Index p = 0; p < k; ++p)
          sum += number(ta ? A(p, i + 1) : A(i - 1, p + 2)) *
                 number(tb ? B(j + 1, p + 1) : B(p + 1, j + 1));
        const double wanted = alpha * sum + (beta == 0 ? 0 : beta * number(C(i, j)));
        ASSERT_LE(std::abs(number(found(i, j)) - wanted), tolerance * (1 + std::abs(wanted)))
            << m << " x " << n << " x " << k << " at " << i << ", " << j;
      }
  }
  template <class In, class Out>
  void check_all(double alpha, double beta, double tolerance) {
    for (const Shape& shape : shapes)
      for (const Transpose a : {Transpose::no, Transpose::yes})
        for (const Transpose b : {Transpose::no, Transpose::yes})
          check<In, Out>(shape, a, b, alpha, beta, tolerance);
  }
};

TEST_F(ProductOnDevice, OfFloatsIsThePlainTripleLoop) {
  check_all<float, float>(0.5, 2, 40 * epsilon);
  check_all<float, float>(1, 0, 40 * epsilon);
  check_all<float, float>(-1, 1, 40 * epsilon);
}
TEST_F(ProductOnDevice, OfBfloatsIsSummedInFloat32) {
  check_all<bfloat16, float>(1, 0, 40 * epsilon);
  check_all<bfloat16, float>(1, 1, 40 * epsilon);
  check_all<bfloat16, bfloat16>(1, 0, 1. / 256);
  check_all<bfloat16, bfloat16>(0.25, 2, 1. / 128);
}
TEST_F(ProductOnDevice, OfDoublesIsDouble) { check_all<double, double>(0.5, 2, 1e-13); }

TEST_F(ProductOnDevice, OnTheSideStreamJoinsMain) {
  const auto A = normal_matrix<float>(33, 17, 1), B = normal_matrix<float>(17, 9, 2);
  const auto device_A = on_device(A), device_B = on_device(B);
  device::DeviceMatrix<float> C(gpu, 33, 9, "a product");
  gpu.side().wait_for(gpu.main());
  gemm<float, float>(gpu, gpu.side(), Transpose::no, Transpose::no, 1, device_A.view(),
                     device_B.view(), 0, C.view());
  gpu.main().wait_for(gpu.side());
  EXPECT_LE(test::error_of(on_host(C), product<float>(A.view(), B.view())), 40 * epsilon);
}

TEST_F(ProductOnDevice, RefusesShapesThatDoNotFit) {
  device::DeviceMatrix<float> A(gpu, 3, 4, "A"), B(gpu, 5, 2, "B"), C(gpu, 3, 2, "C");
  EXPECT_THROW((gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, read_only(A.view()),
                                   read_only(B.view()), 0, C.view())),
               Bug);
}

TEST_F(ProductOnDevice, BatchedIsOneProductAPage) {
  for (const Index count : {0, 1, 3})
    for (const Index k : {0, 7}) {
      const Index m = 5, n = 11;
      const auto A = normal_matrix<float>(m, k, 1);  // the same for every page
      const auto B = normal_matrix<float>(3 * n, k + 1, 2);
      auto C = normal_matrix<float>(3 * m, n, 3);
      const auto device_A = on_device(A), device_B = on_device(B);
      auto device_C = on_device(C);
      gemm_batched<float, float>(gpu, Transpose::no, Transpose::yes, 2, device_A.view(),
                                 device_B.view().block(0, 1, n, k), 0.5,
                                 device_C.view().rows_from(0, m), {count, 0, n * (k + 1), m * n});
      for (Index page = 0; page < count; ++page)
        gemm<float>(Transpose::no, Transpose::yes, 2, A.view(), B.view().block(page * n, 1, n, k),
                    0.5, C.view().rows_from(page * m, m));
      EXPECT_LE(test::error_of(on_host(device_C), C), 20 * epsilon) << count << " pages, k " << k;
    }
}

TEST_F(ProductOnDevice, SymmetricSumsHoldTheUpperTriangle) {
  for (const Index n : {1, 13, 256, 307})
    for (const Index tokens : {0, 1, 41}) {
      const auto X = normal_matrix<bfloat16>(tokens, n, 1);
      const auto device_X = on_device(X);
      auto S = normal_matrix<float>(n, n, 2), cross = S;
      auto device_S = on_device(S), device_cross = on_device(cross);
      add_gram<bfloat16>(gpu, device_X.view(), device_S.view(), 1);
      add_cross<bfloat16>(gpu, device_X.view(), device_X.view(), device_cross.view(), 1);
      add_cross<bfloat16>(X.view(), X.view(), cross.view(), 1);
      EXPECT_LE(test::upper_error(on_host(device_S), cross), 20 * epsilon) << n;
      EXPECT_LE(test::error_of(on_host(device_cross), cross), 20 * epsilon) << n;
      S.fill(nan);  // the first chunk overwrites
      device_S = on_device(S);
      add_gram<bfloat16>(gpu, device_X.view(), device_S.view(), 0);
      add_cross<bfloat16>(X.view(), X.view(), cross.view(), 0);
      EXPECT_LE(test::upper_error(on_host(device_S), cross), 20 * epsilon) << n;
    }
}

TEST_F(ProductOnDevice, LinearAddsItsBiasAndCutsBelowZero) {
  for (const Index tokens : {0, 1, 37})
    for (const Index out : {1, 29, 64}) {
      const auto X = normal_matrix<bfloat16>(tokens, 23, 1),
                 W = normal_matrix<bfloat16>(out, 23, 2);
      const auto b = normal_matrix<float>(1, out, 3);
      const auto device_X = on_device(X), device_W = on_device(W);
      const auto device_b = on_device(b);
      for (const Activation activation : {Activation::none, Activation::relu}) {
        Matrix<double> wanted(tokens, out);
        for (Index t = 0; t < tokens; ++t)
          for (Index o = 0; o < out; ++o) {
            double sum = number(b(0, o));
            for (Index i = 0; i < 23; ++i) sum += number(X(t, i)) * number(W(o, i));
            wanted(t, o) = activation == Activation::relu ? std::max(sum, 0.) : sum;
          }
        device::DeviceMatrix<float> Y(gpu, tokens, out, "Y");
        linear_with_bias<bfloat16, float>(gpu, device_X.view(), device_W.view(), device_b.view(),
                                          activation, Y.view());
        EXPECT_LE(test::error_of(on_host(Y), wanted), 20 * epsilon);
        device::DeviceMatrix<bfloat16> narrow(gpu, tokens, out, "Y");
        linear_with_bias<bfloat16, bfloat16>(gpu, device_X.view(), device_W.view(), device_b.view(),
                                             activation, narrow.view());
        EXPECT_LE(test::error_of(on_host(narrow), wanted), 1. / 128);
      }
    }
}

}  // namespace
}  // namespace constrictor::linalg
