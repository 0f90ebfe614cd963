// SPDX-License-Identifier: Apache-2.0
#include "kernels/elements.cuh"
#include "kernels/statistics.hpp"

namespace constrictor::kernels {
namespace {

constexpr int tile = 32;
constexpr int tile_rows = 8;  // threads of a block are [tile_rows x tile]

struct Sums {
  DeviceView<const float> gram, cross;
  double factor;
  DeviceView<float> H, D;

  __device__ void write(Index r, Index c, float sum) const {
    if (D.data != nullptr)  // first: D may lie where cross lies, H where gram lies
      D(r, c) = static_cast<float>(factor *
                                   (static_cast<double>(cross(r, c)) - static_cast<double>(sum)));
    H(r, c) = static_cast<float>(factor * static_cast<double>(sum));
  }
};

/// One tile on or above the diagonal a block, and its mirror image.
__global__ void scaled_statistics_kernel(Sums sums) {
  __shared__ float upper[tile][tile + 1];
  if (blockIdx.x < blockIdx.y) return;
  const Index n = sums.gram.cols, x = threadIdx.x;
  const Index top = Index(blockIdx.y) * tile, left = Index(blockIdx.x) * tile;
  for (Index y = threadIdx.y; y < tile; y += tile_rows)
    if (top + y < n && left + x < n) upper[y][x] = sums.gram(top + y, left + x);
  __syncthreads();
  for (Index y = threadIdx.y; y < tile; y += tile_rows) {
    if (top + y < n && left + x < n)
      sums.write(top + y, left + x, top == left && x < y ? upper[x][y] : upper[y][x]);
    if (top != left && left + y < n && top + x < n) sums.write(left + y, top + x, upper[x][y]);
  }
}

struct SumPages {
  DeviceView<const float> P;
  float beta;
  DeviceView<float> S;
  __device__ void operator()(Index r, Index c) const {
    float sum = beta == 0 ? 0.f : beta * S(r, c);
    for (Index page = 0; page < P.rows; page += S.rows) sum += P(page + r, c);
    S(r, c) = sum;
  }
};

struct RotationTable {
  DeviceView<const float> frequencies;
  DeviceView<double> table;
  __device__ void operator()(Index l, Index i) const {
    const double angle = static_cast<double>(l) * static_cast<double>(frequencies(0, i));
    table(l, i) = cos(angle);
    table(l, frequencies.cols + i) = sin(angle);
  }
};

/// Element (a, b) of each of the four quarters of the mean. Pair i of a head is (i, i + half);
/// R_l x = (x_i c - x_j s, x_j c + x_i s) with j = i + half.
struct MeanRotatedBack {
  DeviceView<const float> gram;
  double factor;
  DeviceView<const double> table;
  DeviceView<double> mean;

  __device__ double value(Index r, Index c) const {
    return factor * static_cast<double>(c >= r ? gram(r, c) : gram(c, r));
  }
  __device__ void operator()(Index a, Index b) const {
    const Index half = mean.rows / 2;
    const double m00 = value(a, b), m01 = value(a, b + half);
    const double m10 = value(a + half, b), m11 = value(a + half, b + half);
    double s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    for (Index l = 0; l < table.rows; ++l) {
      const double ca = table(l, a), sa = table(l, half + a);
      const double cb = table(l, b), sb = table(l, half + b);
      // rows of R' M, then columns of (R' M) R
      const double t00 = ca * m00 + sa * m10, t01 = ca * m01 + sa * m11;
      const double t10 = ca * m10 - sa * m00, t11 = ca * m11 - sa * m01;
      s00 += t00 * cb + t01 * sb;
      s01 += t01 * cb - t00 * sb;
      s10 += t10 * cb + t11 * sb;
      s11 += t11 * cb - t10 * sb;
    }
    const auto length = static_cast<double>(table.rows);
    mean(a, b) = s00 / length;
    mean(a, b + half) = s01 / length;
    mean(a + half, b) = s10 / length;
    mean(a + half, b + half) = s11 / length;
  }
};

}  // namespace

void scaled_statistics(const device::Stream& stream, DeviceView<const float> gram,
                       DeviceView<const float> cross, double factor, DeviceView<float> H,
                       DeviceView<float> D) {
  const Index n = gram.rows;
  CONSTRICTOR_REQUIRE(gram.cols == n && H.rows == n && H.cols == n, n, gram.cols, H.rows, H.cols);
  CONSTRICTOR_REQUIRE(D.rows == cross.rows && (D.rows == 0 || (D.rows == n && cross.cols == n)), n,
                      D.rows, cross.rows);
  const auto tiles = static_cast<unsigned>((n + tile - 1) / tile);
  launch("scaled_statistics", scaled_statistics_kernel, {dim3(tiles, tiles), dim3(tile, tile_rows)},
         stream, Sums{gram, cross, factor, H, D});
}

void sum_pages(const device::Stream& stream, DeviceView<const float> P, float beta,
               DeviceView<float> S) {
  CONSTRICTOR_REQUIRE(P.cols == S.cols && (S.rows == 0 || P.rows % S.rows == 0), P.rows, P.cols,
                      S.rows, S.cols);
  for_each_element("sum_pages", stream, S.rows, S.cols, SumPages{P, beta, S});
}

void rotation_table(const device::Stream& stream, DeviceView<const float> frequencies,
                    DeviceView<double> table) {
  CONSTRICTOR_REQUIRE(frequencies.rows == 1 && table.cols == 2 * frequencies.cols, frequencies.rows,
                      frequencies.cols, table.cols);
  for_each_element("rotation_table", stream, table.rows, frequencies.cols,
                   RotationTable{frequencies, table});
}

void mean_rotated_back(const device::Stream& stream, DeviceView<const float> gram, double factor,
                       DeviceView<const double> table, DeviceView<double> mean) {
  const Index d = gram.rows;
  CONSTRICTOR_REQUIRE(gram.cols == d && mean.rows == d && mean.cols == d && table.cols == d &&
                          d % 2 == 0 && table.rows > 0,
                      d, gram.cols, mean.rows, mean.cols, table.rows, table.cols);
  for_each_element("mean_rotated_back", stream, d / 2, d / 2,
                   MeanRotatedBack{gram, factor, table, mean});
}

}  // namespace constrictor::kernels
