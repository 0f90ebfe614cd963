// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the ranks say to each other from device to device (NCCL). Collective; queued on a stream.
#include <memory>
#include <span>

#include "comm/communicator.hpp"
#include "core/matrix.hpp"
#include "device/context.hpp"

namespace constrictor::comm {

class DeviceCommunicator {
 public:
  /// Collective. With one rank no NCCL is touched. UserError, agreed upon, when NCCL's versions
  /// differ between ranks or two ranks share a device. `ranks` and `gpu` must outlive it.
  DeviceCommunicator(const Communicator& ranks, const device::Context& gpu);
  ~DeviceCommunicator();
  DeviceCommunicator(const DeviceCommunicator&) = delete;
  DeviceCommunicator& operator=(const DeviceCommunicator&) = delete;

  /// Sums in place over ranks (in NCCL's order), one group of calls; views without gaps between
  /// rows.
  void sum(std::span<const DeviceView<float>> values, const device::Stream& stream) const;
  /// `root`'s values everywhere, one group of calls; shapes must agree.
  void broadcast(std::span<const DeviceView<float>> values, int root,
                 const device::Stream& stream) const;
  /// Waits for the stream as stream.synchronize() does, but not for ever: LostRank (a LibraryError)
  /// within seconds when NCCL reports an error or a rank of this node has died; a rank that dies on
  /// another node without NCCL noticing ends the wait after five minutes. Failures of kernels as in
  /// synchronize().
  void finish(const device::Stream& stream) const;

  /// "NCCL 2.28.3", or "none (one rank)", for the record.
  std::string library() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace constrictor::comm
