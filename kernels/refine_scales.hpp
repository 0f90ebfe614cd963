// SPDX-License-Identifier: Apache-2.0
#pragma once
// Steps of the scale refinement on the device (quant/refine.hpp has the equations):
//   step = slope[i,g] / (H_out[i,i] A_i[g,g]),   A_i[g,k] = Z[i,g] H_in[g,k] Z[i,k]'
//   slope[j,k] -= step H_out[j,i] Z[i,g] H_in[g,k] Z[j,k]'
// A group whose denominator is not positive is skipped.
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// dots(r, g) = A . B over the `size` columns of group g of row r.   A, B [rows x in]
void group_dots(const device::Stream& stream, DeviceView<const float> A, DeviceView<const float> B,
                Index size, DeviceView<float> dots);

/// No pass follows one that gained less than `gain` of what all passes have gained
/// (RefineSettings).
struct Passes {
  Index most;
  float gain;
};

/// Rows that do not see each other (H_out = 1): passes over the groups of each.
///   products      [rows x groups groups]  A_i, row after row
///   slope, scale  [rows x groups]         in and out
void descend_rows(const device::Stream& stream, DeviceView<const float> products, Passes passes,
                  DeviceView<float> slope, DeviceView<float> scale);

/// Heads of d rows, one below the other.
struct HeadRows {
  DeviceView<const float> H_out;         // [heads d x d]
  DeviceView<const std::int32_t> order;  // [heads x d] position -> row of the head
};

/// Passes over the rows of every head, one group a row.
///   products      [heads d x d]  Z_i H_in Z_j' of the rows of a head
///   slope, scale  [heads d x 1]
void descend_heads(const device::Stream& stream, DeviceView<const float> products,
                   const HeadRows& heads, Passes passes, DeviceView<float> slope,
                   DeviceView<float> scale);

/// Where the passes of `descend_position` are.
struct AtPosition {
  Index position, pass;
  float gain;  // see Passes
};

/// What the row at one position of every head does with several groups, and what it changes.
///   products      [heads d x groups groups]  A_i
///   progress      [heads x 3]   gain of this pass and of all, whether the head goes on; in and out
///   change        [heads x in]  out: dQ of that row, step[g] Z[i,g]
///   slope, scale  [heads d x groups]
void descend_position(const device::Stream& stream, DeviceView<const float> products,
                      const HeadRows& heads, const AtPosition& at, DeviceView<const float> Z,
                      DeviceView<float> slope, DeviceView<float> scale, DeviceView<float> progress,
                      DeviceView<float> change);
/// slope[j,k] -= H_out[j,i] moved . Z[j,k] for all other rows j of the head; moved [heads x in] =
/// dQ H_in.
void spread_position(const device::Stream& stream, const HeadRows& heads, Index position,
                     DeviceView<const float> moved, DeviceView<const float> Z,
                     DeviceView<float> slope);

}  // namespace constrictor::kernels
