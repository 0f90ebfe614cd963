// SPDX-License-Identifier: Apache-2.0
// The device layer by itself: memory and its counters, copies, streams, failures in words.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/bfloat16.hpp"
#include "core/timer.hpp"
#include "device/check_cuda.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::device {
namespace {

template <class T>
Matrix<T> counted(Index rows, Index cols) {
  Matrix<T> m(rows, cols);
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<T>(static_cast<float>(i % 251));
  return m;
}

template <class T>
void expect_equal(View<const T> a, View<const T> b) {
  ASSERT_EQ(a.rows, b.rows);
  ASSERT_EQ(a.cols, b.cols);
  for (Index r = 0; r < a.rows; ++r)
    for (Index c = 0; c < a.cols; ++c)
      ASSERT_EQ(static_cast<float>(a(r, c)), static_cast<float>(b(r, c))) << r << ", " << c;
}

template <class Call>
std::string words_of(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing thrown";
}
#define EXPECT_SAYS(words, part) EXPECT_NE((words).find(part), std::string::npos) << (words)

struct DeviceLayer : testing::Test {
  Context gpu{0};
};

TEST_F(DeviceLayer, MatricesGoThereAndBack) {
  for (const auto& [rows, cols] : std::vector<std::pair<Index, Index>>{
           {0, 0}, {0, 5}, {5, 0}, {1, 1}, {1, 1009}, {37, 1}, {37, 41}}) {
    const auto host = counted<float>(rows, cols);
    const auto there = uploaded<float>(gpu, host.view(), "a test");
    expect_equal<float>(downloaded<float>(gpu, there.view()).view(), host.view());
    const auto twin = copied<float>(gpu, there.view(), "a test");
    expect_equal<float>(downloaded<float>(gpu, twin.view()).view(), host.view());
  }
}

TEST_F(DeviceLayer, WindowsGoThereAndBackAndLeaveTheRestAlone) {
  const auto host = counted<bfloat16>(31, 29), other = counted<bfloat16>(40, 43);
  DeviceMatrix<bfloat16> there = uploaded<bfloat16>(gpu, other.view(), "a test");
  upload<bfloat16>(host.view().block(3, 2, 11, 7), there.view().block(5, 13, 11, 7), gpu.main());
  set_zero(there.view().block(20, 0, 3, 43), gpu.main());
  set_zero(there.view().block(30, 40, 9, 2), gpu.main());
  set_zero(there.view().block(0, 0, 0, 5), gpu.main());
  const auto back = downloaded<bfloat16>(gpu, there.view());
  for (Index r = 0; r < back.rows(); ++r)
    for (Index c = 0; c < back.cols(); ++c) {
      bfloat16 expected = other(r, c);
      if (r >= 5 && r < 16 && c >= 13 && c < 20) expected = host(r - 2, c - 11);
      if ((r >= 20 && r < 23) || (r >= 30 && r < 39 && c >= 40 && c < 42)) expected = bfloat16(0.f);
      ASSERT_EQ(static_cast<float>(back(r, c)), static_cast<float>(expected)) << r << ", " << c;
    }
  auto window = counted<bfloat16>(50, 17);
  const Matrix<bfloat16> before = window;
  download<bfloat16>(there.view().block(1, 1, 6, 4), window.view().block(40, 9, 6, 4), gpu.main());
  gpu.main().synchronize();
  expect_equal<bfloat16>(window.view().block(40, 9, 6, 4), back.view().block(1, 1, 6, 4));
  expect_equal<bfloat16>(window.view().block(0, 0, 40, 17), before.view().block(0, 0, 40, 17));
  EXPECT_EQ(static_cast<float>(window(40, 8)), static_cast<float>(before(40, 8)));
  EXPECT_EQ(static_cast<float>(window(45, 13)), static_cast<float>(before(45, 13)));
}

TEST_F(DeviceLayer, ShapesOfCopiesMustAgree) {
  const auto host = counted<float>(3, 4);
  DeviceMatrix<float> there(gpu, 4, 3, "a test");
  EXPECT_THROW(upload<float>(host.view(), there.view(), gpu.main()), Bug);
}

TEST_F(DeviceLayer, StreamsWaitForEachOther) {
  auto host = counted<float>(300, 1000);
  const PinnedMemory pinned(host.data(), host.bytes());
  DeviceMatrix<float> first(gpu, 300, 1000, "a test"), second(gpu, 300, 1000, "a test");
  gpu.copies().wait_for(gpu.main());  // the memory is there in the order of main
  upload<float>(host.view(), first.view(), gpu.copies());
  gpu.side().wait_for(gpu.copies());
  copy<float>(first.view(), second.view(), gpu.side());
  gpu.main().wait_for(gpu.side());
  gpu.main().wait_for(gpu.main());
  expect_equal<float>(downloaded<float>(gpu, second.view()).view(), host.view());
}

TEST_F(DeviceLayer, PinnedMemoryIsPinnedOnceAndWithoutHarm) {
  auto host = counted<float>(100, 100);
  PinnedMemory once(host.data(), host.bytes());
  const PinnedMemory again(host.data(), host.bytes());
  EXPECT_FALSE(again.pinned());
  EXPECT_FALSE(PinnedMemory(nullptr, 0).pinned());
  const bool was = once.pinned();  // a system may refuse
  const PinnedMemory moved(std::move(once));
  EXPECT_EQ(moved.pinned(), was);
  expect_equal<float>(
      downloaded<float>(gpu, uploaded<float>(gpu, host.view(), "a test").view()).view(),
      host.view());
}

TEST_F(DeviceLayer, MemoryIsCounted) {
  EXPECT_EQ(gpu.memory().live, 0);
  {
    DeviceMatrix<float> a(gpu, 1000, 100, "a test");
    EXPECT_EQ(gpu.memory().live, 400000);
    { const DeviceMatrix<double> b(gpu, 100, 100, "a test"); }
    DeviceMatrix<float> moved(std::move(a));
    EXPECT_TRUE(a.empty());  // NOLINT: what is left is what is tested
    EXPECT_EQ(gpu.memory().live, 400000);
    EXPECT_EQ(gpu.memory().peak, 480000);
    moved = DeviceMatrix<float>(gpu, 1, 10, "a test");
    EXPECT_EQ(gpu.memory().live, 40);
    gpu.reset_peak();
    EXPECT_EQ(gpu.memory().peak, 40);
  }
  EXPECT_EQ(gpu.memory().live, 0);
  EXPECT_GT(gpu.memory().total, 0);
  EXPECT_LE(gpu.memory().free, gpu.memory().total);
}

TEST_F(DeviceLayer, ExhaustedMemoryNamesWhatAndKnobAndTheDeviceGoesOn) {
  const DeviceMatrix<float> held(gpu, 256, 1024, "a test");
  const auto cols = static_cast<Index>(gpu.memory().total / 4);
  try {
    const DeviceMatrix<float> huge(gpu, 2, cols, "sums of the value layer");
    FAIL() << "twice the memory of the device was to be had";
  } catch (const MemoryError& error) {
    const std::string words = error.what();
    EXPECT_SAYS(words, "sums of the value layer");
    EXPECT_SAYS(words, "1.0 MiB are in use");
    EXPECT_SAYS(words, gpu.name());
    EXPECT_SAYS(words, "run.reduction: fast");
    EXPECT_SAYS(words, "quant.value_hessian: input");
  }
  EXPECT_EQ(gpu.memory().live, 1 << 20);
  const auto host = counted<float>(3, 5);
  expect_equal<float>(
      downloaded<float>(gpu, uploaded<float>(gpu, host.view(), "a test").view()).view(),
      host.view());
}

TEST_F(DeviceLayer, HandlesAreBoundToTheirStreams) {
  EXPECT_NE(gpu.blas(gpu.main()), gpu.blas(gpu.side()));
  EXPECT_NE(gpu.workspace(gpu.main()), gpu.workspace(gpu.side()));
  EXPECT_NE(gpu.workspace(gpu.main()), nullptr);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cublasGetStream(gpu.blas(gpu.side()), &stream), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(stream, gpu.side().raw());
  EXPECT_THROW(gpu.blas(gpu.copies()), Bug);
}

TEST_F(DeviceLayer, FailuresAreSaidInWordsWithADeviceAndAHint) {
  struct Case {
    int code;
    const char *name, *hint;
  };
  for (const Case& c :
       {Case{cudaErrorECCUncorrectable, "uncorrectable ECC error", "nvidia-smi -q -d ECC"},
        Case{cudaErrorIllegalAddress, "an illegal memory access", "compute-sanitizer"},
        Case{cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "CUDA_LAUNCH_BLOCKING=1"},
        Case{cudaErrorInsufficientDriver, "driver version", "run.device=cpu"},
        Case{cudaErrorNoKernelImageForDevice, "no kernel image", "-DCMAKE_CUDA_ARCHITECTURES"},
        Case{cudaErrorDevicesUnavailable, "busy or unavailable", "one rank drives one device"}}) {
    const std::string words = words_of([&] { cuda_check(c.code, "cudaSomething(x)"); });
    EXPECT_EQ(words.rfind("cudaSomething(x): ", 0), 0u) << words;
    EXPECT_SAYS(words, c.name);
    EXPECT_SAYS(words, "on device 0");
    EXPECT_SAYS(words, c.hint);
    EXPECT_EQ(words.find('\n'), std::string::npos);
  }
  EXPECT_THROW(cuda_check(cudaErrorLaunchFailure, "x"), LibraryError);
  EXPECT_THROW(cuda_check(cudaErrorMemoryAllocation, "x"), MemoryError);
  EXPECT_NO_THROW(cuda_check(cudaSuccess, "x"));
}

TEST_F(DeviceLayer, FailedLaunchesNameKernelAndStream) {
  EXPECT_NO_THROW(launch_check(cudaSuccess, "rms_norm", "main"));
  const std::string at_once =
      words_of([] { launch_check(cudaErrorInvalidConfiguration, "rope", "side"); });
  EXPECT_EQ(at_once.rfind("kernel rope on stream side: ", 0), 0u) << at_once;
  EXPECT_EQ(at_once.find("rms_norm"), std::string::npos) << at_once;
  const std::string later = words_of([] { cuda_check(cudaErrorIllegalAddress, "waiting"); });
  EXPECT_SAYS(later, "the last kernel queued was rms_norm on stream main");
}

TEST_F(DeviceLayer, FailuresOfLibrariesAreSaidInWords) {
  const std::string blas = words_of([] { cublas_check(CUBLAS_STATUS_INVALID_VALUE, "cublasX()"); });
  EXPECT_EQ(blas.rfind("cublasX(): cuBLAS: ", 0), 0u) << blas;
  EXPECT_THROW(cublas_check(CUBLAS_STATUS_ALLOC_FAILED, "x"), MemoryError);
  EXPECT_NO_THROW(cublas_check(CUBLAS_STATUS_SUCCESS, "x"));
  const std::string solver =
      words_of([] { cusolver_check(CUSOLVER_STATUS_EXECUTION_FAILED, "cusolverX()"); });
  EXPECT_EQ(solver.rfind("cusolverX(): cuSOLVER: a kernel failed", 0), 0u) << solver;
  EXPECT_THROW(cusolver_check(CUSOLVER_STATUS_ALLOC_FAILED, "x"), MemoryError);
  EXPECT_NO_THROW(cusolver_check(CUSOLVER_STATUS_SUCCESS, "x"));
}

TEST_F(DeviceLayer, PhasesAreRangesOfTheProfiler) {
  EXPECT_NE(phase_observer.begin, nullptr);
  EXPECT_NE(phase_observer.end, nullptr);
  SecondsByPhase seconds;
  { const PhaseTimer timer(seconds, "statistics"); }
  EXPECT_EQ(seconds.count("statistics"), 1u);
}

}  // namespace
}  // namespace constrictor::device
