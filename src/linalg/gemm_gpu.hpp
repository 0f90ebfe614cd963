// SPDX-License-Identifier: Apache-2.0
#pragma once
// Matrix products on the device, row-major like everything here. float32 factors are multiplied in
// float32 (no TF32), bfloat16 factors on tensor cores, both added up in float32. The shapes of a
// call decide its bits, never what else runs.
//
//   (In, Out) in use: (float, float), (bfloat16, float), (bfloat16, bfloat16), (double, double)
#include "core/bfloat16.hpp"
#include "device/device_matrix.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::linalg {

/// C <- alpha op(A) op(B) + beta C.   op(A) [m x k], op(B) [k x n], C [m x n]. With beta = 0 what C
/// held is not read. Queued on `stream`, main() or side().
template <class In, class Out>
void gemm(const device::Context& gpu, const device::Stream& stream, Transpose op_a, Transpose op_b,
          double alpha, DeviceView<const In> A, DeviceView<const In> B, double beta,
          DeviceView<Out> C);

/// The same on main().
template <class In, class Out>
void gemm(const device::Context& gpu, Transpose op_a, Transpose op_b, double alpha,
          DeviceView<const In> A, DeviceView<const In> B, double beta, DeviceView<Out> C) {
  gemm<In, Out>(gpu, gpu.main(), op_a, op_b, alpha, A, B, beta, C);
}

/// `count` products of one shape; the views are those of the first, the others lie `stride`
/// elements further each (a stride of 0 repeats the factor).
struct Batch {
  Index count, stride_a, stride_b, stride_c;
};
template <class In, class Out>
void gemm_batched(const device::Context& gpu, Transpose op_a, Transpose op_b, double alpha,
                  DeviceView<const In> A, DeviceView<const In> B, double beta, DeviceView<Out> C,
                  const Batch& batch);

/// Width of the column panels in which triangles of an [n x n] product are formed: an eighth of the
/// columns, whole multiples of 256.
constexpr Index triangle_panel(Index n) {
  const Index eighth = (n / 8 + 255) / 256 * 256;
  return eighth < 256 ? 256 : eighth;
}

/// S <- beta S + X' X, X [tokens x n]: the upper triangle in column panels (about 60 % of the
/// work); what lies below the diagonal is undefined (see `mirror_upper`).
template <class T>
void add_gram(const device::Context& gpu, DeviceView<const T> X, DeviceView<float> S, float beta);
/// S <- beta S + X' Y where that is symmetric; upper triangle as above.
template <class T>
void add_cross_upper(const device::Context& gpu, DeviceView<const T> X, DeviceView<const T> Y,
                     DeviceView<float> S, float beta);
/// S <- beta S + X' Y, all of it.
template <class T>
void add_cross(const device::Context& gpu, DeviceView<const T> X, DeviceView<const T> Y,
               DeviceView<float> S, float beta);

enum class Activation { none, relu };
/// Y <- activation(X W' + b): one cuBLASLt call with a fused epilogue.
///   X [tokens x in], W [out x in], b [1 x out], Y [tokens x out]
/// in >= 1. A bfloat16 Y takes b rounded to bfloat16, which is what the epilogue offers; models
/// stored in bfloat16 lose nothing by it.
template <class In, class Out>
void linear_with_bias(const device::Context& gpu, DeviceView<const In> X, DeviceView<const In> W,
                      DeviceView<const float> b, Activation activation, DeviceView<Out> Y);

}  // namespace constrictor::linalg
