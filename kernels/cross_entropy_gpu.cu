// SPDX-License-Identifier: Apache-2.0
#include "kernels/cross_entropy.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

/// A logit and where it stands; the earlier one of equals is ahead.
struct Place {
  float value;
  Index column;
};
__device__ Place ahead(Place a, Place b) {
  return b.value > a.value || (b.value == a.value && b.column < a.column) ? b : a;
}
__device__ Place warp_ahead(Place best) {
  for (int step = warp_size / 2; step > 0; step /= 2)
    best = ahead(best, Place{__shfl_xor_sync(0xffffffffu, best.value, step),
                             __shfl_xor_sync(0xffffffffu, best.column, step)});
  return best;
}
/// In every thread; see block_sum.
__device__ Place block_ahead(Place best) {
  __shared__ float value[warp_size];
  __shared__ Index column[warp_size];
  const unsigned lane = threadIdx.x % warp_size, warp = threadIdx.x / warp_size;
  best = warp_ahead(best);
  __syncthreads();  // both may still be read from the call before
  if (lane == 0) value[warp] = best.value, column[warp] = best.column;
  __syncthreads();
  const unsigned warps = (blockDim.x + warp_size - 1) / warp_size, mine = lane < warps ? lane : 0;
  return warp_ahead({value[mine], column[mine]});
}

/// The first of the largest logits among columns of a row; a row of NaN gives column 0.
template <int width>
__device__ Place largest_of(const float* y, Index cols) {
  Place best{-INFINITY, cols};
  for (Index c = first_column<width>(); c < cols; c += column_step<width>()) {
    const auto pack = load<width>(y + c);
    for (int i = 0; i < width; ++i) best = ahead(best, {pack.values[i], c + i});
  }
  return block_ahead(best);
}

/// What a piece of the vocabulary adds: one thread a row brings the sums so far to the new largest
/// logit. Returns e^{old largest - new largest}, by which older sums shrink.
__device__ double take_in(SoftmaxSums& row, Place best, double sum, Index first, const float* y,
                          Index cols, std::int32_t target) {
  const bool start = first == 0, higher = start || best.value > row.largest;
  const float largest = higher ? best.value : row.largest;
  const double shrink = start ? 0 : exp(static_cast<double>(row.largest) - largest);
  const double fresh = exp(static_cast<double>(best.value) - largest);
  row.sum = (start ? 0 : row.sum * shrink) + sum * fresh;
  if (higher) row.top = first + best.column;
  row.largest = largest;
  if (start) row.target = 0;
  if (target >= first && target < first + cols) row.target = y[target - first];
  return shrink;
}

template <int width>
__global__ void cross_entropy_rows(DeviceView<const float> Y, Index first,
                                   DeviceView<const std::int32_t> targets,
                                   DeviceView<SoftmaxSums> rows) {
  const Index row = blockIdx.x;
  const float* y = Y.row(row);
  const Place best = largest_of<width>(y, Y.cols);
  double sum = 0;
  for (Index c = first_column<width>(); c < Y.cols; c += column_step<width>()) {
    const auto logit = load<width>(y + c);
    for (int i = 0; i < width; ++i) sum += static_cast<double>(expf(logit.values[i] - best.value));
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) take_in(rows(0, row), best, sum, first, y, Y.cols, targets(0, row));
}

template <int width>
__global__ void divergence_rows(DeviceView<const float> P, DeviceView<const float> Q, Index first,
                                DeviceView<const std::int32_t> targets,
                                DeviceView<DivergenceSums> rows) {
  const Index row = blockIdx.x;
  const float *p = P.row(row), *q = Q.row(row);
  const Place p_best = largest_of<width>(p, P.cols), q_best = largest_of<width>(q, P.cols);
  double p_sum = 0, q_sum = 0, weighted = 0;
  for (Index c = first_column<width>(); c < P.cols; c += column_step<width>()) {
    const auto p_logit = load<width>(p + c), q_logit = load<width>(q + c);
    for (int i = 0; i < width; ++i) {
      const auto e = static_cast<double>(expf(p_logit.values[i] - p_best.value));
      p_sum += e;
      q_sum += static_cast<double>(expf(q_logit.values[i] - q_best.value));
      weighted += e * (static_cast<double>(p_logit.values[i]) - q_logit.values[i]);
    }
  }
  p_sum = block_sum(p_sum);
  q_sum = block_sum(q_sum);
  weighted = block_sum(weighted);
  if (threadIdx.x != 0) return;
  DivergenceSums& sums = rows(0, row);
  const std::int32_t target = targets(0, row);
  const double shrink = take_in(sums.p, p_best, p_sum, first, p, P.cols, target);
  take_in(sums.q, q_best, q_sum, first, q, P.cols, target);
  const double fresh = exp(static_cast<double>(p_best.value) - sums.p.largest);
  sums.weighted = (first == 0 ? 0 : sums.weighted * shrink) + weighted * fresh;
}

}  // namespace

void add_cross_entropy(const device::Stream& stream, DeviceView<const float> Y, Index first,
                       DeviceView<const std::int32_t> targets, DeviceView<SoftmaxSums> rows) {
  CONSTRICTOR_REQUIRE(targets.rows == 1 && targets.cols == Y.rows && rows.cols == Y.rows, Y.rows,
                      targets.rows, targets.cols, rows.cols);
  CONSTRICTOR_REQUIRE(Y.cols > 0 && first >= 0, Y.cols, first);
  launch_rows("cross_entropy", in_fours(Y), cross_entropy_rows<4>, cross_entropy_rows<1>, Y.rows,
              Y.cols, stream, Y, first, targets, rows);
}

void add_divergence(const device::Stream& stream, DeviceView<const float> P,
                    DeviceView<const float> Q, Index first, DeviceView<const std::int32_t> targets,
                    DeviceView<DivergenceSums> rows) {
  CONSTRICTOR_REQUIRE(P.rows == Q.rows && P.cols == Q.cols, P.rows, P.cols, Q.rows, Q.cols);
  CONSTRICTOR_REQUIRE(targets.rows == 1 && targets.cols == P.rows && rows.cols == P.rows, P.rows,
                      targets.rows, targets.cols, rows.cols);
  CONSTRICTOR_REQUIRE(P.cols > 0 && first >= 0, P.cols, first);
  launch_rows("divergence", in_fours(P, Q), divergence_rows<4>, divergence_rows<1>, P.rows, P.cols,
              stream, P, Q, first, targets, rows);
}

}  // namespace constrictor::kernels
