// SPDX-License-Identifier: Apache-2.0
// The emulated cuBLAS, cuBLASLt and cuSOLVER against numbers typed by hand: column-major, and the
// library's refusals.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cusolverDn.h>

#include <cmath>
#include <limits>

#include "core/bfloat16.hpp"
#include "emulation_fixture.hpp"

namespace {

using namespace emulation_test;
using constrictor::bfloat16;

struct EmulatedLibraries : Emulation {
  void SetUp() override {
    Emulation::SetUp();
    ASSERT_EQ(cublasCreate(&blas), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasLtCreate(&light), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cusolverDnCreate(&solver), CUSOLVER_STATUS_SUCCESS);
  }
  void TearDown() override {
    cublasDestroy(blas);
    cublasLtDestroy(light);
    cusolverDnDestroy(solver);
    Emulation::TearDown();
  }
  cublasHandle_t blas = nullptr;
  cublasLtHandle_t light = nullptr;
  cusolverDnHandle_t solver = nullptr;
  const float one = 1, two = 2, zero = 0;
};

// A = [ 1 3 5 ]   B = [ 1  0 ]   A B = [ 10 17 ]
//     [ 2 4 6 ]       [ 3 -1 ]         [ 14 20 ]
//                     [ 0  4 ]
const std::vector<float> A = {1, 2, 3, 4, 5, 6};   // columns one after the other, ld 2
const std::vector<float> B = {1, 3, 0, 0, -1, 4};  // ld 3
const std::vector<float> AB = {10, 14, 17, 20};

TEST_F(EmulatedLibraries, ProductIsColumnMajor) {
  const OnDevice<float> a(A), b(B), c(4);  // c holds NaN, which beta = 0 must not read
  ASSERT_EQ(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, a.data, 2, b.data, 3, &zero,
                        c.data, 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.values(), AB);
  ASSERT_EQ(cublasSgemm_64(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &two, a.data, 2, b.data, 3,
                           &one, c.data, 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.values(), (std::vector<float>{30, 42, 51, 60}));
  // A' A = [ 5 11 17; 11 25 39; 17 39 61 ]
  const OnDevice<float> gram(9);
  ASSERT_EQ(cublasSgemm(blas, CUBLAS_OP_T, CUBLAS_OP_N, 3, 3, 2, &one, a.data, 2, a.data, 2, &zero,
                        gram.data, 3),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(gram.values(), (std::vector<float>{5, 11, 17, 11, 25, 39, 17, 39, 61}));
  // No terms: C <- beta C.
  ASSERT_EQ(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 0, &one, a.data, 2, b.data, 3, &two,
                        c.data, 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.values(), (std::vector<float>{60, 84, 102, 120}));
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(EmulatedLibraries, MixedTypesAndBatches) {
  std::vector<bfloat16> narrow_a, narrow_b;
  for (const float value : A) narrow_a.emplace_back(value);
  for (const float value : B) narrow_b.emplace_back(value);
  const OnDevice<bfloat16> a(narrow_a), b(narrow_b), small(4);
  const OnDevice<float> wide(8);
  ASSERT_EQ(cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, a.data, CUDA_R_16BF, 2,
                         b.data, CUDA_R_16BF, 3, &zero, small.data, CUDA_R_16BF, 2,
                         CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(static_cast<float>(small.values()[i]), AB[i]);
  // Twice: A (repeated) times the columns of B, one a time.   [2 x 3] [3 x 1], stride 3
  ASSERT_EQ(
      cublasGemmStridedBatchedEx_64(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 3, &one, a.data,
                                    CUDA_R_16BF, 2, 0, b.data, CUDA_R_16BF, 3, 3, &zero, wide.data,
                                    CUDA_R_32F, 2, 4, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
      CUBLAS_STATUS_SUCCESS);
  const auto values = wide.values();
  EXPECT_EQ((std::vector<float>{values[0], values[1], values[4], values[5]}), AB);
  EXPECT_TRUE(std::isnan(values[2])) << "between the products nothing is written";
}

TEST_F(EmulatedLibraries, RefusesWhatTheLibraryRefuses) {
  const OnDevice<float> a(A), b(B), c(4);
  EXPECT_EQ(cublasSgemm(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, a.data, 2, b.data, 3,
                        &zero, c.data, 2),
            CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, a.data, 1, b.data, 3, &zero,
                        c.data, 2),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_T, 2, 2, 3, &one, a.data, 2, b.data, 1, &zero,
                        c.data, 2),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, -1, 2, 3, &one, a.data, 2, b.data, 3, &zero,
                        c.data, 2),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, a.data, CUDA_R_32F, 2,
                         b.data, CUDA_R_16BF, 3, &zero, c.data, CUDA_R_32F, 2, CUBLAS_COMPUTE_32F,
                         CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
  // Memory of the host, and a result that does not fit.
  testing::internal::CaptureStderr();
  cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, A.data(), 2, b.data, 3, &zero, c.data,
              2);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  emulation::restore_device();
  cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, a.data, 2, b.data, 3, &zero, c.data,
              3);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("cublasGemmEx: A [2 x 3]"), std::string::npos) << said;
  EXPECT_NE(said.find("the result [2 x 2], leading dimension 3"), std::string::npos) << said;
  emulation::restore_device();
}

// L = [ 2 0 ]   X = [ 1 2 ]   L X = [  2  4 ]   X L = [  4  8 ]
//     [ 1 4 ]       [ 3 4 ]         [ 13 18 ]         [ 10 16 ]
TEST_F(EmulatedLibraries, TriangularSolvesAndProducts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const OnDevice<float> L(std::vector<float>{2, 1, nan, 4});  // above the diagonal: not read
  const std::vector<float> X = {1, 3, 2, 4}, LX = {2, 13, 4, 18}, half_XL = {2, 5, 4, 8};
  const OnDevice<float> left(LX), right(half_XL), product(4), x(X);
  ASSERT_EQ(cublasStrsm(blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                        CUBLAS_DIAG_NON_UNIT, 2, 2, &one, L.data, 2, left.data, 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(left.values(), X);
  ASSERT_EQ(cublasStrmm_64(blas, CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                           CUBLAS_DIAG_NON_UNIT, 2, 2, &one, L.data, 2, x.data, 2, product.data, 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(product.values(), (std::vector<float>{4, 10, 8, 16}));
  EXPECT_EQ(x.values(), X);
  ASSERT_EQ(cublasStrsm_64(blas, CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                           CUBLAS_DIAG_NON_UNIT, 2, 2, &two, L.data, 2, right.data, 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(right.values(), (std::vector<float>{1, 3, 2, 4}));
}

TEST_F(EmulatedLibraries, TransposedSum) {
  const OnDevice<float> a(A), sum(6);  // A' as [3 x 2]: columns (1 3 5), (2 4 6)
  ASSERT_EQ(cublasSgeam(blas, CUBLAS_OP_T, CUBLAS_OP_N, 3, 2, &two, a.data, 2, &zero, nullptr, 3,
                        sum.data, 3),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(sum.values(), (std::vector<float>{2, 6, 10, 4, 8, 12}));
}

TEST_F(EmulatedLibraries, LightProductWithBiasAndRelu) {
  const OnDevice<float> a(A), b(B), bias(std::vector<float>{-12, 1}), d(4), workspace(1 << 20);
  cublasLtMatmulDesc_t product = nullptr;
  ASSERT_EQ(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            CUBLAS_STATUS_SUCCESS);
  const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_RELU_BIAS;
  const void* bias_pointer = bias.data;
  cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                 sizeof epilogue);
  cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias_pointer,
                                 sizeof bias_pointer);
  cublasLtMatrixLayout_t of_a = nullptr, of_b = nullptr, of_d = nullptr;
  cublasLtMatrixLayoutCreate(&of_a, CUDA_R_32F, 2, 3, 2);
  cublasLtMatrixLayoutCreate(&of_b, CUDA_R_32F, 3, 2, 3);
  cublasLtMatrixLayoutCreate(&of_d, CUDA_R_32F, 2, 2, 2);
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulPreferenceCreate(&preference);
  const std::size_t bytes = 1 << 20;
  cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
                                       sizeof bytes);
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  ASSERT_EQ(cublasLtMatmulAlgoGetHeuristic(light, product, of_a, of_b, of_d, of_d, preference, 1,
                                           &best, &found),
            CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(found, 1);
  const auto multiply = [&](const float* first, std::size_t workspace_bytes) {
    return cublasLtMatmul(light, product, &one, first, of_a, b.data, of_b, &zero, d.data, of_d,
                          d.data, of_d, &best.algo, workspace.data, workspace_bytes, nullptr);
  };
  ASSERT_EQ(multiply(a.data, bytes), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(d.values(), (std::vector<float>{0, 15, 5, 21}));  // max(0, A B + bias of the row)
  EXPECT_EQ(multiply(a.data, 16), CUBLAS_STATUS_INVALID_VALUE) << "the workspace is too small";
  EXPECT_EQ(multiply(a.data + 1, bytes), CUBLAS_STATUS_INVALID_VALUE)
      << "aligned to 256 bytes, it was said";
  cublasLtMatmulPreferenceDestroy(preference);
  for (const auto layout : {of_a, of_b, of_d}) cublasLtMatrixLayoutDestroy(layout);
  cublasLtMatmulDescDestroy(product);
}

// H = [ 4 2 ] = U' U with U = [ 2 1 ], U^-1 = [ 1/2 -1/4 ]
//     [ 2 5 ]                 [ 0 2 ]         [  0   1/2 ]
TEST_F(EmulatedLibraries, CholeskyAndTriangularInverse) {
  const OnDevice<double> H(std::vector<double>{4, -7, 2, 5}), work(1 << 10);  // -7: not looked at
  const OnDevice<int> info(1);
  cusolverDnParams_t params = nullptr;
  cusolverDnCreateParams(&params);
  std::size_t device_bytes = 0, host_bytes = 0;
  ASSERT_EQ(cusolverDnXpotrf_bufferSize(solver, params, CUBLAS_FILL_MODE_UPPER, 2, CUDA_R_64F,
                                        H.data, 2, CUDA_R_64F, &device_bytes, &host_bytes),
            CUSOLVER_STATUS_SUCCESS);
  const auto factor = [&](std::size_t bytes) {
    return cusolverDnXpotrf(solver, params, CUBLAS_FILL_MODE_UPPER, 2, CUDA_R_64F, H.data, 2,
                            CUDA_R_64F, work.data, bytes, nullptr, 0, info.data);
  };
  EXPECT_EQ(factor(device_bytes - 1), CUSOLVER_STATUS_INVALID_VALUE);
  ASSERT_EQ(factor(device_bytes), CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(info.values()[0], 0);
  EXPECT_EQ(H.values(), (std::vector<double>{2, -7, 1, 2}));
  ASSERT_EQ(cusolverDnXtrtri(solver, CUBLAS_FILL_MODE_UPPER, CUBLAS_DIAG_NON_UNIT, 2, CUDA_R_64F,
                             H.data, 2, work.data, device_bytes, nullptr, 0, info.data),
            CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(H.values(), (std::vector<double>{0.5, -7, -0.25, 0.5}));
  // [ 1 2 ; 2 3 ]: the second pivot is 3 - 4.
  const std::vector<double> indefinite = {1, 0, 2, 3};
  ASSERT_EQ(cudaMemcpy(H.data, indefinite.data(), 32, cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_EQ(factor(device_bytes), CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(info.values()[0], 2);
  cusolverDnDestroyParams(params);
}

}  // namespace
