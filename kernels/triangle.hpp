// SPDX-License-Identifier: Apache-2.0
#pragma once
// Triangles of square matrices on the device: what lies between a sum of which only the upper
// triangle is known, a factorization, and a message. J is the flip of rows and columns.
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// F <- J M J, F_rc = M_(n-1-r)(n-1-c).   M, F [n x n], not the same memory; T = float or double
template <class T>
void flip(const device::Stream& stream, DeviceView<const T> M, DeviceView<T> F);
/// U <- J L J for lower triangular L: upper, exact zeros below; what stands above the diagonal of L
/// is not read.
template <class T>
void flip_to_upper(const device::Stream& stream, DeviceView<const T> L, DeviceView<T> U);

/// M <- 1 where row = column, 0 elsewhere.
template <class T>
void set_identity(const device::Stream& stream, DeviceView<T> M);
/// M <- the part on and above the diagonal, exact zeros below.
template <class T>
void keep_upper(const device::Stream& stream, DeviceView<T> M);
/// A <- triu(M, 1): the part above the diagonal, zeros on and below it.
template <class T>
void strictly_upper(const device::Stream& stream, DeviceView<const T> M, DeviceView<T> A);

/// d <- the diagonal of M, [1 x n].
template <class T>
void diagonal(const device::Stream& stream, DeviceView<const T> M, DeviceView<T> d);
/// The diagonal of M <- d.
void set_diagonal(const device::Stream& stream, DeviceView<const float> d, DeviceView<float> M);

/// The lower triangle of every page of S <- its upper one.
///   S  [pages * n x n]
void mirror_upper(const device::Stream& stream, DeviceView<float> S);
/// F <- S mirrored, rounded to E where that is bfloat16; the lower triangles of S are not read.
///   S, F  [pages * n x n]
template <class E>
void mirrored(const device::Stream& stream, DeviceView<const float> S, DeviceView<E> F);

/// Elements of an upper triangle, its diagonal included.
constexpr Index upper_size(Index n) { return n * (n + 1) / 2; }
/// packed <- the upper triangle of S, row after row: row r holds the columns r .. n - 1.
///   S [n x n], packed [1 x upper_size(n)]
void pack_upper(const device::Stream& stream, DeviceView<const float> S, DeviceView<float> packed);
/// The other way; what lies below the diagonal of S is left as it is.
void unpack_upper(const device::Stream& stream, DeviceView<const float> packed,
                  DeviceView<float> S);
/// The upper triangle of X <- that of X + Y; [n x n]
void add_upper(const device::Stream& stream, DeviceView<const float> Y, DeviceView<float> X);

}  // namespace constrictor::kernels
