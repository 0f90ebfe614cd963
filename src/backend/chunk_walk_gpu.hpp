// SPDX-License-Identifier: Apache-2.0
#pragma once
// Hidden states on their way through the device: while one chunk is worked on, the next one comes
// in and the one before goes out. The host waits for no chunk but the one before last.
#include <vector>

#include "core/parallel.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::backend {

/// What happens to chunks. Calls come in the order of the chunks.
class ChunkVisitor {
 public:
  virtual ~ChunkVisitor() = default;
  /// Queues the work of a chunk on main(). `states[p]`: its rows of path p. The result, as many as
  /// there are targets (or none), goes to the chunk's rows of those.
  virtual std::vector<device::DeviceMatrix<float>> work(
      Index chunk, const std::vector<DeviceView<const float>>& states) = 0;
  /// Queues what else the host wants of the chunk on copies(), which has been told to wait.
  virtual void fetch(Index /*chunk*/) {}
  /// All of the chunk has arrived on the host.
  virtual void arrived(Index /*chunk*/) {}
};

struct ChunkPaths {
  std::vector<View<float>> sources;  // host, [rows x hidden] each, all of the same height
  std::vector<View<float>> targets;
  std::vector<Piece> chunks;  // rows
};

/// Leaves nothing queued behind. Stops between chunks when a signal has asked for it.
void walk_chunks(const device::Context& gpu, const ChunkPaths& paths, ChunkVisitor& visitor);

}  // namespace constrictor::backend
