// SPDX-License-Identifier: Apache-2.0
#include "kernels/elements.cuh"
#include "kernels/triangle.hpp"

namespace constrictor::kernels {
namespace {

template <class T>
struct Flip {
  DeviceView<const T> M;
  DeviceView<T> F;
  __device__ void operator()(Index r, Index c) const {
    F(r, c) = M(M.rows - 1 - r, M.cols - 1 - c);
  }
};
template <class T>
struct FlipToUpper {
  DeviceView<const T> L;
  DeviceView<T> U;
  __device__ void operator()(Index r, Index c) const {
    U(r, c) = c >= r ? L(L.rows - 1 - r, L.cols - 1 - c) : T(0);
  }
};
template <class T>
struct SetIdentity {
  DeviceView<T> M;
  __device__ void operator()(Index r, Index c) const { M(r, c) = r == c ? T(1) : T(0); }
};
template <class T>
struct KeepUpper {
  DeviceView<T> M;
  __device__ void operator()(Index r, Index c) const {
    if (c < r) M(r, c) = T(0);
  }
};
template <class T>
struct StrictlyUpper {
  DeviceView<const T> M;
  DeviceView<T> A;
  __device__ void operator()(Index r, Index c) const { A(r, c) = c > r ? M(r, c) : T(0); }
};
template <class T>
struct Diagonal {
  DeviceView<const T> M;
  DeviceView<T> d;
  __device__ void operator()(Index r, Index c) const { d(r, c) = M(c, c); }
};
struct SetDiagonal {
  DeviceView<const float> d;
  DeviceView<float> M;
  __device__ void operator()(Index r, Index c) const { M(c, c) = d(r, c); }
};
struct PackUpper {
  DeviceView<const float> S;
  float* packed;
  __device__ void operator()(Index r, Index c) const {
    if (c >= r) packed[r * S.cols - r * (r - 1) / 2 + c - r] = S(r, c);
  }
};
struct UnpackUpper {
  const float* packed;
  DeviceView<float> S;
  __device__ void operator()(Index r, Index c) const {
    if (c >= r) S(r, c) = packed[r * S.cols - r * (r - 1) / 2 + c - r];
  }
};
struct AddUpper {
  DeviceView<const float> Y;
  DeviceView<float> X;
  __device__ void operator()(Index r, Index c) const {
    if (c >= r) X(r, c) += Y(r, c);
  }
};

template <class A, class B>
void require_same(const A& a, const B& b) {
  CONSTRICTOR_REQUIRE(a.rows == b.rows && a.cols == b.cols, a.rows, a.cols, b.rows, b.cols);
}

constexpr int tile = 32;
constexpr int tile_rows = 8;  // threads of a block are [tile_rows x tile]

/// One tile on or above the diagonal a block: it is written where it stands and, through shared
/// memory, where its mirror image stands. S and F may be the same memory.
template <class E>
__global__ void mirror_kernel(DeviceView<const float> S, DeviceView<E> F) {
  __shared__ float upper[tile][tile + 1];
  if (blockIdx.x < blockIdx.y) return;
  const Index n = S.cols, x = threadIdx.x;
  const Index top = Index(blockIdx.y) * tile, left = Index(blockIdx.x) * tile;
  const bool on_diagonal = top == left;
  for (Index page = blockIdx.z; page * n < S.rows; page += gridDim.z) {
    const auto from = S.rows_from(page * n, n);
    const auto to = F.rows_from(page * n, n);
    for (Index y = threadIdx.y; y < tile; y += tile_rows)
      if (top + y < n && left + x < n) upper[y][x] = from(top + y, left + x);
    __syncthreads();
    for (Index y = threadIdx.y; y < tile; y += tile_rows) {
      if (top + y < n && left + x < n)
        to(top + y, left + x) = static_cast<E>(on_diagonal && x < y ? upper[x][y] : upper[y][x]);
      if (!on_diagonal && left + y < n && top + x < n)
        to(left + y, top + x) = static_cast<E>(upper[x][y]);
    }
    __syncthreads();
  }
}

}  // namespace

template <class T>
void flip(const device::Stream& stream, DeviceView<const T> M, DeviceView<T> F) {
  require_same(M, F);
  for_each_element("flip", stream, M.rows, M.cols, Flip<T>{M, F});
}
template <class T>
void flip_to_upper(const device::Stream& stream, DeviceView<const T> L, DeviceView<T> U) {
  require_same(L, U);
  for_each_element("flip_to_upper", stream, L.rows, L.cols, FlipToUpper<T>{L, U});
}
template <class T>
void set_identity(const device::Stream& stream, DeviceView<T> M) {
  for_each_element("set_identity", stream, M.rows, M.cols, SetIdentity<T>{M});
}
template <class T>
void keep_upper(const device::Stream& stream, DeviceView<T> M) {
  for_each_element("keep_upper", stream, M.rows, M.cols, KeepUpper<T>{M});
}
template <class T>
void strictly_upper(const device::Stream& stream, DeviceView<const T> M, DeviceView<T> A) {
  require_same(M, A);
  for_each_element("strictly_upper", stream, M.rows, M.cols, StrictlyUpper<T>{M, A});
}
template <class T>
void diagonal(const device::Stream& stream, DeviceView<const T> M, DeviceView<T> d) {
  CONSTRICTOR_REQUIRE(M.rows == M.cols && d.rows == 1 && d.cols == M.cols, M.rows, d.cols);
  for_each_element("diagonal", stream, 1, d.cols, Diagonal<T>{M, d});
}
void set_diagonal(const device::Stream& stream, DeviceView<const float> d, DeviceView<float> M) {
  CONSTRICTOR_REQUIRE(M.rows == M.cols && d.rows == 1 && d.cols == M.cols, M.rows, d.cols);
  for_each_element("set_diagonal", stream, 1, d.cols, SetDiagonal{d, M});
}

template <class E>
void mirrored(const device::Stream& stream, DeviceView<const float> S, DeviceView<E> F) {
  require_same(S, F);
  if (S.size() == 0) return;
  CONSTRICTOR_REQUIRE(S.rows % S.cols == 0, S.rows, S.cols);
  const auto tiles = static_cast<unsigned>((S.cols + tile - 1) / tile);
  const auto pages = static_cast<unsigned>(std::min<Index>(S.rows / S.cols, 1 << 15));
  launch("mirror", mirror_kernel<E>, {dim3(tiles, tiles, pages), dim3(tile, tile_rows)}, stream, S,
         F);
}
void mirror_upper(const device::Stream& stream, DeviceView<float> S) {
  mirrored<float>(stream, S, S);
}

void pack_upper(const device::Stream& stream, DeviceView<const float> S, DeviceView<float> packed) {
  CONSTRICTOR_REQUIRE(S.rows == S.cols && packed.size() == upper_size(S.cols), S.rows, S.cols,
                      packed.size());
  for_each_element("pack_upper", stream, S.rows, S.cols, PackUpper{S, packed.data});
}
void unpack_upper(const device::Stream& stream, DeviceView<const float> packed,
                  DeviceView<float> S) {
  CONSTRICTOR_REQUIRE(S.rows == S.cols && packed.size() == upper_size(S.cols), S.rows, S.cols,
                      packed.size());
  for_each_element("unpack_upper", stream, S.rows, S.cols, UnpackUpper{packed.data, S});
}
void add_upper(const device::Stream& stream, DeviceView<const float> Y, DeviceView<float> X) {
  require_same(X, Y);
  for_each_element("add_upper", stream, X.rows, X.cols, AddUpper{Y, X});
}

#define CONSTRICTOR_TRIANGLES(T)                                                           \
  template void flip(const device::Stream&, DeviceView<const T>, DeviceView<T>);           \
  template void flip_to_upper(const device::Stream&, DeviceView<const T>, DeviceView<T>);  \
  template void set_identity(const device::Stream&, DeviceView<T>);                        \
  template void keep_upper(const device::Stream&, DeviceView<T>);                          \
  template void strictly_upper(const device::Stream&, DeviceView<const T>, DeviceView<T>); \
  template void diagonal(const device::Stream&, DeviceView<const T>, DeviceView<T>)
CONSTRICTOR_TRIANGLES(float);
CONSTRICTOR_TRIANGLES(double);
#undef CONSTRICTOR_TRIANGLES
template void mirrored(const device::Stream&, DeviceView<const float>, DeviceView<float>);
template void mirrored(const device::Stream&, DeviceView<const float>, DeviceView<bfloat16>);

}  // namespace constrictor::kernels
