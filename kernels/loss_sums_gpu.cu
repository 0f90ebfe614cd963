// SPDX-License-Identifier: Apache-2.0
#include "kernels/launch.cuh"
#include "kernels/loss_sums.hpp"

namespace constrictor::kernels {
namespace {

constexpr int threads = 256;
constexpr int column_threads = 64, row_parts = 8;  // of column sums

__global__ void sum_row_losses(LossTerms terms, double* sums) {
  const Index r = blockIdx.x;
  double sum = 0;
  for (Index c = threadIdx.x; c < terms.W.cols; c += threads) {
    const double change = static_cast<double>(terms.Q(r, c) - terms.W(r, c));
    double slope = static_cast<double>(terms.G(r, c));
    if (terms.S.rows > 0) slope -= 2 * static_cast<double>(terms.S(r, c));
    sum += slope * change;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[r] = sum;
}

__global__ void sum_row_dots(DeviceView<const float> A, DeviceView<const float> B, double* sums) {
  const Index r = blockIdx.x;
  double sum = 0;
  for (Index c = threadIdx.x; c < A.cols; c += threads)
    sum += static_cast<double>(A(r, c)) * static_cast<double>(B(r, c));
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[r] = sum;
}

/// A block takes 64 columns, an eighth of the rows a line of threads; the parts are added in order.
__global__ void sum_columns(DeviceView<const float> Q, DeviceView<const float> W, double* sums) {
  __shared__ double parts[row_parts][column_threads];
  const Index c = Index{blockIdx.x} * column_threads + threadIdx.x;
  double sum = 0;
  if (c < Q.cols)
    for (Index r = threadIdx.y; r < Q.rows; r += row_parts) {
      const double change = static_cast<double>(Q(r, c)) - static_cast<double>(W(r, c));
      sum += change * change;
    }
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || c >= Q.cols) return;
  for (int part = 1; part < row_parts; ++part) sum += parts[part][threadIdx.x];
  sums[c] = sum;
}

}  // namespace

void row_losses(const device::Stream& stream, const LossTerms& terms, double* sums) {
  launch("row_losses", sum_row_losses, {grid_of(terms.W.rows, 1, 0x7fffffff), dim3(threads), 0},
         stream, terms, sums);
}

void row_dots(const device::Stream& stream, DeviceView<const float> A, DeviceView<const float> B,
              double* sums) {
  launch("row_dots", sum_row_dots, {grid_of(A.rows, 1, 0x7fffffff), dim3(threads), 0}, stream, A, B,
         sums);
}

void column_energy(const device::Stream& stream, DeviceView<const float> Q,
                   DeviceView<const float> W, double* sums) {
  launch("column_energy", sum_columns,
         {grid_of(Q.cols, column_threads), dim3(column_threads, row_parts), 0}, stream, Q, W, sums);
}

}  // namespace constrictor::kernels
