// SPDX-License-Identifier: Apache-2.0
#include "kernels/elements.cuh"
#include "kernels/head_norm.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

struct HeadNormRows {
  DeviceView<const float> U, V, g, T;
  double eps;
  DeviceView<float> W, F;
};

__global__ void head_norm_rows_kernel(HeadNormRows m) {
  const Index row = blockIdx.x, d = m.U.cols, position = row % m.T.rows;
  double squares = 0, vw = 0;
  for (Index c = threadIdx.x; c < d; c += blockDim.x) {
    const double u = static_cast<double>(m.U(row, c));
    const float w = m.g(0, c) * m.W(row, c);
    squares += u * u;
    vw += static_cast<double>(m.V(row, c)) * static_cast<double>(w);
  }
  squares = block_sum(squares);
  vw = block_sum(vw);
  const auto a = static_cast<float>(1.0 / (squares / static_cast<double>(d) + m.eps));
  const auto half = static_cast<float>(0.5 * vw);
  for (Index c = threadIdx.x; c < d; c += blockDim.x) {
    m.W(row, c) = a * (half * m.V(row, c) - m.g(0, c) * m.W(row, c));
    m.F(row, c) = a * m.T(position, c);
  }
}

struct HeadNormMetric {
  DeviceView<const float> M, G, N, g;
  float per_position, beta;
  DeviceView<float> H;

  /// Entry (i, j) of Σ_l a_l R_l' M R_l of the page that starts at row p; see rotated_back in
  /// hessian/head_norm.cpp.
  __device__ float rotated_back(Index p, Index i, Index j) const {
    const Index half = H.rows / 2, a = i % half, b = j % half, A = a + half, B = b + half;
    const float cc = G(p + a, b), cs = G(p + a, B), sc = G(p + A, b), ss = G(p + A, B);
    const float m00 = M(p + a, b), m01 = M(p + a, B), m10 = M(p + A, b), m11 = M(p + A, B);
    if (i < half && j < half) return m00 * cc + m10 * sc + m01 * cs + m11 * ss;
    if (i < half) return m01 * cc + m11 * sc - m00 * cs - m10 * ss;
    if (j < half) return m10 * cc - m00 * sc + m11 * cs - m01 * ss;
    return m11 * cc - m01 * sc - m10 * cs + m00 * ss;
  }
  __device__ void operator()(Index i, Index j) const {
    float sum = beta == 0 ? 0.f : beta * H(i, j);
    for (Index p = 0; p < M.rows; p += H.rows)
      sum +=
          per_position * (rotated_back(p, i, j) * (g(0, i) * g(0, j)) + N(p + i, j) + N(p + j, i));
    H(i, j) = sum;
  }
};

}  // namespace

void head_norm_rows(const device::Stream& stream, DeviceView<const float> U,
                    DeviceView<const float> V, DeviceView<const float> g, double eps,
                    DeviceView<const float> T, DeviceView<float> W, DeviceView<float> F) {
  const Index d = U.cols;
  CONSTRICTOR_REQUIRE(V.rows == U.rows && W.rows == U.rows && F.rows == U.rows && V.cols == d &&
                          W.cols == d && F.cols == d && g.cols == d && T.cols == d && T.rows > 0,
                      U.rows, d, V.rows, W.rows, F.rows, g.cols, T.cols);
  if (U.rows == 0) return;
  launch("head_norm_rows", head_norm_rows_kernel, row_shape(U.rows, d), stream,
         HeadNormRows{U, V, g, T, eps, W, F});
}

void head_norm_metric(const device::Stream& stream, DeviceView<const float> M,
                      DeviceView<const float> G, DeviceView<const float> N,
                      DeviceView<const float> g, Index length, float beta, DeviceView<float> H) {
  const Index d = H.rows;
  CONSTRICTOR_REQUIRE(H.cols == d && d % 2 == 0 && M.cols == d && G.cols == d && N.cols == d &&
                          M.rows % d == 0 && G.rows == M.rows && N.rows == M.rows && g.cols == d,
                      d, M.rows, G.rows, N.rows, g.cols);
  for_each_element("head_norm_metric", stream, d, d,
                   HeadNormMetric{M, G, N, g, 1.f / static_cast<float>(length), beta, H});
}

}  // namespace constrictor::kernels
