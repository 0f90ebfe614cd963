// SPDX-License-Identifier: Apache-2.0
// The emulated device itself: threads, barriers and shuffles, and which mistakes it notices.
#include <numeric>

#include "emulation_fixture.hpp"
#include "kernels/launch.cuh"

namespace {

using namespace emulation_test;

__global__ void count_coordinates(int* hits, int width, int height) {
  const unsigned x = blockIdx.x * blockDim.x + threadIdx.x,
                 y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x < static_cast<unsigned>(width) && y < static_cast<unsigned>(height))
    atomicAdd(&hits[y * static_cast<unsigned>(width) + x], 1);
}
TEST_F(Emulation, RunsEachThreadOfTheGridOnce) {
  OnDevice<int> hits(std::vector<int>(301 * 67, 0));
  ASSERT_EQ(launch(count_coordinates, {{10, 9}, {32, 8}}, hits.data, 301, 67), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(hits.values(), std::vector<int>(301 * 67, 1));
}

// Each barrier has to hold: thread i reads what the thread behind it wrote in the step before.
__global__ void rotate(int* values, int steps) {
  int* shared = static_cast<int*>(emulated_dynamic_shared());
  shared[threadIdx.x] = values[threadIdx.x];
  for (int step = 0; step < steps; ++step) {
    __syncthreads();
    const int next = shared[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
    shared[threadIdx.x] = next;
  }
  values[threadIdx.x] = shared[threadIdx.x];
}
TEST_F(Emulation, BarriersHoldInBothOrders) {
  for (const char* order : {"", "reversed"}) {
    setenv("CONSTRICTOR_EMULATED_ORDER", order, 1);
    for (unsigned threads : {1u, 2u, 31u, 32u, 97u, 1024u}) {
      std::vector<int> before(threads), after(threads);
      std::iota(before.begin(), before.end(), 0);
      for (unsigned i = 0; i < threads; ++i) after[i] = static_cast<int>((i + 5) % threads);
      OnDevice<int> values(before);
      ASSERT_EQ(launch(rotate, {1, threads, threads * sizeof(int)}, values.data, 5), cudaSuccess);
      EXPECT_EQ(values.values(), after) << threads << " threads " << order;
    }
  }
}

// Without the second barrier of `rotate`: one of the two orders has to show it.
__global__ void rotate_with_a_race(int* values) {
  int* shared = static_cast<int*>(emulated_dynamic_shared());
  shared[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  shared[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
  __syncthreads();
  values[threadIdx.x] = shared[threadIdx.x];
}
TEST_F(Emulation, AMissingBarrierShowsInOneOfTheOrders) {
  std::vector<std::vector<int>> results;
  for (const char* order : {"", "reversed"}) {
    setenv("CONSTRICTOR_EMULATED_ORDER", order, 1);
    std::vector<int> before(64);
    std::iota(before.begin(), before.end(), 0);
    OnDevice<int> values(before);
    ASSERT_EQ(launch(rotate_with_a_race, {1, 64, 64 * sizeof(int)}, values.data), cudaSuccess);
    results.push_back(values.values());
  }
  EXPECT_NE(results[0], results[1]);
}

struct Shuffled {
  int down, up, exchanged, first, of_four;
  double doubled;
  unsigned ballot;
  int any, all;
};
__global__ void shuffle(Shuffled* out) {
  const unsigned everyone = 0xffffffffu;
  const int me = static_cast<int>(threadIdx.x);
  Shuffled& mine = out[threadIdx.x];
  mine.down = __shfl_down_sync(everyone, me, 3);
  mine.up = __shfl_up_sync(everyone, me, 3);
  mine.exchanged = __shfl_xor_sync(everyone, me, 5);
  mine.first = __shfl_sync(everyone, me, 0);
  mine.of_four = __shfl_sync(everyone, me, 2, 4);
  mine.doubled = __shfl_xor_sync(everyone, 0.5 * me, 1);
  mine.ballot = __ballot_sync(everyone, me % 3 == 0);
  mine.any = __any_sync(everyone, me == 40);
  mine.all = __all_sync(everyone, me < 32);
}
TEST_F(Emulation, ShufflesAndVotes) {
  OnDevice<Shuffled> out(64);
  ASSERT_EQ(launch(shuffle, {1, 64}, out.data), cudaSuccess);
  const auto values = out.values();
  for (int i = 0; i < 64; ++i) {
    const Shuffled& v = values[static_cast<std::size_t>(i)];
    const int lane = i % 32, warp = i / 32 * 32;
    EXPECT_EQ(v.down, lane + 3 < 32 ? i + 3 : i);
    EXPECT_EQ(v.up, lane >= 3 ? i - 3 : i);
    EXPECT_EQ(v.exchanged, i ^ 5);
    EXPECT_EQ(v.first, warp);
    EXPECT_EQ(v.of_four, i / 4 * 4 + 2);
    EXPECT_EQ(v.doubled, 0.5 * (i ^ 1));
    unsigned ballot = 0;
    for (int other = 0; other < 32; ++other) ballot |= ((warp + other) % 3 == 0 ? 1u : 0u) << other;
    EXPECT_EQ(v.ballot, ballot);
    EXPECT_EQ(v.any, warp == 32);
    EXPECT_EQ(v.all, warp == 0);
  }
}

// Half warps that do not know of each other, and lanes that left before.
__global__ void partial_warps(int* out) {
  if (threadIdx.x >= 24) return;
  const unsigned half = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  int sum = 1;
  if (threadIdx.x < 16)
    for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(half, sum, step);
  else
    for (int step = 4; step > 0; step /= 2) sum += __shfl_xor_sync(half, sum, step);
  out[threadIdx.x] = sum;
}
TEST_F(Emulation, MasksNameWhoTakesPart) {
  OnDevice<int> out(24);
  ASSERT_EQ(launch(partial_warps, {1, 32}, out.data), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  auto expected = std::vector<int>(24, 8);
  std::fill(expected.begin(), expected.begin() + 16, 16);
  EXPECT_EQ(out.values(), expected);
}

__global__ void some_leave() {
  if (threadIdx.x < 5) return;
  __syncthreads();
}
__global__ void two_places() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void reads_from_who_left(int* out) {
  if (threadIdx.x == 1) return;
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}
__global__ void half_the_mask() {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __syncthreads();
}
TEST_F(Emulation, DivergenceIsALaunchFailureAndNoHang) {
  OnDevice<int> out(64);
  testing::internal::CaptureStderr();
  ASSERT_EQ(launch(some_leave, {3, 64}), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(
      said.find("kernel_of_test, block (0,0,0): deadlock: 59 of 64 threads wait at __syncthreads"),
      std::string::npos)
      << said;
  EXPECT_EQ(launch(some_leave, {3, 64}), cudaErrorLaunchFailure) << "a broken device stays broken";
  emulation::restore_device();

  testing::internal::CaptureStderr();
  ASSERT_EQ(launch(two_places, {1, 64}), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("different barriers"), std::string::npos) << said;
  emulation::restore_device();

  testing::internal::CaptureStderr();
  ASSERT_EQ(launch(reads_from_who_left, {1, 32}, out.data), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("reads from lane 1, which takes no part"), std::string::npos) << said;
  emulation::restore_device();

  testing::internal::CaptureStderr();
  ASSERT_EQ(launch(half_the_mask, {1, 32}), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("16 of 32 threads wait in a __syncwarp"), std::string::npos) << said;
  EXPECT_NE(said.find("16 of 32 threads wait at __syncthreads"), std::string::npos) << said;
  emulation::restore_device();

  // And the next launch runs as if nothing had happened.
  ASSERT_EQ(launch(rotate, {1, 64, 256}, out.data, 1), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

__global__ void sum_of_block(float* sums, const float* values) {
  sums[blockIdx.x * blockDim.x + threadIdx.x] =
      constrictor::kernels::block_sum(values[threadIdx.x]) + constrictor::kernels::block_sum(1.0f);
}
TEST_F(Emulation, BlockSumOfLaunchHeader) {
  for (const char* order : {"", "reversed"}) {
    setenv("CONSTRICTOR_EMULATED_ORDER", order, 1);
    for (unsigned threads : {32u, 96u, 256u, 1024u}) {
      std::vector<float> values(threads);
      std::iota(values.begin(), values.end(), 1.0f);
      OnDevice<float> in(values), out(3 * threads);
      ASSERT_EQ(launch(sum_of_block, {3, threads}, out.data, in.data), cudaSuccess);
      const float n = static_cast<float>(threads);
      EXPECT_EQ(out.values(), std::vector<float>(3 * threads, n * (n + 1) / 2 + n)) << threads;
    }
  }
}

}  // namespace
