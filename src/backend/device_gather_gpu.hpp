// SPDX-License-Identifier: Apache-2.0
#pragma once
// The walk of calibration sequences through one block, on a device; gather_statistics.hpp is the
// oracle.
#include "backend/backend.hpp"
#include "calib/hidden_states.hpp"
#include "comm/device_communicator.hpp"
#include "core/timer.hpp"
#include "data/device_block.hpp"
#include "data/model_spec.hpp"
#include "data/specs.hpp"

namespace constrictor::backend {

/// The device of this rank and what it says to those of the others.
struct DeviceRank {
  const comm::Communicator& ranks;
  const device::Context& gpu;
  const comm::DeviceCommunicator& devices;
  const ModelSpec& model;
  Reduction reduction;
};

/// A block on both sides.
template <class E>
struct TwoBlocks {
  const Block& host;
  const DeviceBlock<E>& device;
};
/// The blocks of a gathering on the device; one object while one_block().
template <class E>
struct GatheredBlocks {
  const DeviceBlock<E>& full;
  const DeviceBlock<E>& quant;
};

/// Collective: Backend::gather. `exact`: lanes are added in the tree, those of a rank on its
/// device, the rest of the tree over MPI; `fast`: one ncclAllReduce of upper triangles.
template <class E>
DeviceSums gather_on_device(const DeviceRank& rank, const Gathering& gathering,
                            const GatheredBlocks<E>& blocks, calib::HiddenStates& states,
                            SecondsByPhase& seconds, KeptInputs* kept);

/// Collective: Backend::advance_quantized.
template <class E>
OutputError advance_on_device(const DeviceRank& rank, const TwoBlocks<E>& block,
                              calib::HiddenStates& states, SecondsByPhase& seconds);

}  // namespace constrictor::backend
