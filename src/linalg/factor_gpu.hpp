// SPDX-License-Identifier: Apache-2.0
#pragma once
// linalg/factor.hpp on the device (cuSOLVER, triangular solves of cuBLAS). T = float or double.
#include "device/device_matrix.hpp"

namespace constrictor::linalg {

/// U upper with H^-1 = U' U and, when R is not empty, R upper with H = R R'; zeros below the
/// diagonals. H [n x n]: both triangles. One Cholesky of the flipped matrix, one triangular
/// inverse. False when a pivot is not positive, NaN included. Waits for the device.
template <class T>
[[nodiscard]] bool inverse_factor(const device::Context& gpu, DeviceView<const T> H,
                                  DeviceView<T> U, DeviceView<T> R);
/// The root alone.
template <class T>
[[nodiscard]] bool upper_root(const device::Context& gpu, DeviceView<const T> H, DeviceView<T> R);

/// As linalg::condition_estimate; waits for the device.
template <class T>
double condition_estimate(const device::Context& gpu, DeviceView<const T> U);

/// What both uses of the drift share: D U', all of it.
template <class T>
device::DeviceMatrix<T> drift_times_factor(const device::Context& gpu, DeviceView<const T> D,
                                           DeviceView<const T> U);
/// P = triu(D U', 1) U from DU = D U'; strictly upper. DU is left as it is.
template <class T>
device::DeviceMatrix<T> drift_propagator(const device::Context& gpu, DeviceView<const T> DU,
                                         DeviceView<const T> U);
/// D H^-1 = (D U') U from DU = D U'.
template <class T>
device::DeviceMatrix<T> drift_times_inverse(const device::Context& gpu, DeviceView<const T> DU,
                                            DeviceView<const T> U);

}  // namespace constrictor::linalg
