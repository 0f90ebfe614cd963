// SPDX-License-Identifier: Apache-2.0
#pragma once
// From sums over tokens to statistics, on the device; hessian/statistics.cpp is the oracle.
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// H <- factor gram, mirrored;  D <- factor (cross - gram), formed in float64 and rounded once.
///   gram [n x n] upper triangle, cross [n x n] or empty, H [n x n], D [n x n] or empty
/// H and gram may be the same memory, and so may D and cross.
void scaled_statistics(const device::Stream& stream, DeviceView<const float> gram,
                       DeviceView<const float> cross, double factor, DeviceView<float> H,
                       DeviceView<float> D);

/// S <- beta S + Σ over pages; with beta = 0 what S held is not read.
///   P [pages * n x n], S [n x n]
void sum_pages(const device::Stream& stream, DeviceView<const float> P, float beta,
               DeviceView<float> S);

/// table <- cos (columns 0 .. half - 1) and sin (columns half .. 2 half - 1) of l f_i.
///   frequencies [1 x half] radians per position, table [length x 2 half]
void rotation_table(const device::Stream& stream, DeviceView<const float> frequencies,
                    DeviceView<double> table);
/// mean <- factor * mean over positions l of R_l' M R_l, with R_l the rotation of position l
/// (halves paired), M the symmetric matrix with the upper triangle `gram`. Float64, positions in
/// order.
///   gram [d x d], table [length x d] of rotation_table, mean [d x d]
void mean_rotated_back(const device::Stream& stream, DeviceView<const float> gram, double factor,
                       DeviceView<const double> table, DeviceView<double> mean);

}  // namespace constrictor::kernels
