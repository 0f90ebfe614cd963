// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "comm/lane_tree.hpp"
#include "data/device_block.hpp"
#include "hessian/statistics.hpp"
#include "hessian/sum_over_ranks.hpp"

namespace constrictor::hessian {

/// hessian::accumulate on the device: adds one chunk of whole sequences to the sums, the first one
/// overwrites them. `full` null without drift. Everything is queued on main() (and joined to it).
template <class E>
void accumulate(const device::Context& gpu, const SumShape& shape, const DeviceTrace<E>& quant,
                const DeviceTrace<E>* full, Index length, DeviceSums& sums);

/// left <- left + right, upper triangles of Gram sums, all of the others.
void add(const device::Context& gpu, DeviceSums& left, DeviceSums& right);
void set_zero(const device::Context& gpu, DeviceSums& sums);

/// To and from the host, for sums that travel through MPI.
void download(const device::Context& gpu, DeviceSums& from, BlockSums& to);
void upload(const device::Context& gpu, BlockSums& from, DeviceSums& to);

/// All sums in one piece, what one ncclAllReduce takes: matrix after matrix in the order of
/// for_each_matrix, of Gram sums the upper triangle row after row. [1 x packed_size]
Index packed_size(const SumShape& shape);
device::DeviceMatrix<float> packed(const device::Context& gpu, const SumShape& shape,
                                   DeviceSums& sums);
void unpack(const device::Context& gpu, DeviceView<const float> packed, DeviceSums& sums);

struct DeviceInputStatistics {
  device::DeviceMatrix<float> H;  // [in x in] raw H_in, both triangles
  device::DeviceMatrix<float> D;  // [in x in] raw drift; empty without
};
/// hessian::input_statistics on the device.
DeviceInputStatistics input_statistics(const device::Context& gpu, const SumShape& shape,
                                       DeviceSums& sums, Place place, Index head);

/// H_out [d x d] of every key-value head (of every query head with a norm inside) for the query
/// layer (from key sums) and for the key layer (from query sums), on the host; the mean over
/// positions is taken on the device in float64.
std::vector<Matrix<float>> query_output_hessians(const device::Context& gpu, const SumShape& shape,
                                                 DeviceSums& sums,
                                                 std::span<const float> frequencies, Index length);
std::vector<Matrix<float>> key_output_hessians(const device::Context& gpu, const SumShape& shape,
                                               DeviceSums& sums, std::span<const float> frequencies,
                                               Index length);

}  // namespace constrictor::hessian
