// SPDX-License-Identifier: Apache-2.0
#include "backend/chunk_walk_gpu.hpp"

#include <algorithm>
#include <array>

#include "backend/walk_checks.hpp"
#include "core/stop_flag.hpp"

namespace constrictor::backend {
namespace {

using device::DeviceMatrix;

/// One of two sets of buffers that chunks take in turn.
struct Slot {
  std::vector<DeviceMatrix<float>> incoming, outgoing;
  device::Event here, gone;  // the sources on the device, the targets on the host
};

/// Neither the buffers here nor the host's memory may die while copies() is busy with them.
struct Join {
  const device::Context& gpu;
  ~Join() {
    try {
      gpu.main().wait_for(gpu.copies());
      gpu.copies().synchronize();
    } catch (...) {  // a broken device: what broke it is on its way up
    }
  }
};

class Walk {
 public:
  Walk(const device::Context& gpu, const ChunkPaths& paths, ChunkVisitor& visitor)
      : gpu_(gpu), paths_(paths), visitor_(visitor) {
    Index most = 0;
    for (const Piece& chunk : paths.chunks) most = std::max(most, chunk.size());
    for (Slot& slot : slots_)
      for (const auto& source : paths.sources)
        slot.incoming.emplace_back(gpu, most, source.cols, "hidden states of a chunk");
  }

  void run() {
    const auto chunks = static_cast<Index>(paths_.chunks.size());
    if (chunks > 0) bring(0);
    for (Index i = 0; i < chunks; ++i) {
      leave_when_asked();
      Slot& slot = slot_of(i);
      gpu_.main().wait_for(slot.here);
      if (i + 1 < chunks) bring(i + 1);
      slot.outgoing = visitor_.work(i, states(i));
      take_away(i);
      if (i > 0) finish(i - 1);
    }
    if (chunks > 0) finish(chunks - 1);
  }

 private:
  Slot& slot_of(Index chunk) { return slots_[static_cast<std::size_t>(chunk % 2)]; }
  const Piece& rows_of(Index chunk) const { return paths_.chunks[static_cast<std::size_t>(chunk)]; }

  std::vector<DeviceView<const float>> states(Index chunk) {
    std::vector<DeviceView<const float>> views;
    for (auto& buffer : slot_of(chunk).incoming)
      views.push_back(buffer.view().rows_from(0, rows_of(chunk).size()));
    return views;
  }

  /// The work that read this slot before is queued already; nothing later is.
  void bring(Index chunk) {
    Slot& slot = slot_of(chunk);
    const Piece& rows = rows_of(chunk);
    gpu_.copies().wait_for(gpu_.main());
    for (std::size_t p = 0; p < paths_.sources.size(); ++p)
      device::upload<float>(read_only(paths_.sources[p].rows_from(rows.first, rows.size())),
                            slot.incoming[p].view().rows_from(0, rows.size()), gpu_.copies());
    slot.here.record(gpu_.copies());
  }

  void take_away(Index chunk) {
    Slot& slot = slot_of(chunk);
    const Piece& rows = rows_of(chunk);
    CONSTRICTOR_REQUIRE(slot.outgoing.size() <= paths_.targets.size(), slot.outgoing.size());
    gpu_.copies().wait_for(gpu_.main());
    for (std::size_t t = 0; t < slot.outgoing.size(); ++t)
      device::download<float>(read_only(slot.outgoing[t].view()),
                              paths_.targets[t].rows_from(rows.first, rows.size()), gpu_.copies());
    visitor_.fetch(chunk);
    slot.gone.record(gpu_.copies());
  }

  void finish(Index chunk) {
    slot_of(chunk).gone.synchronize();
    visitor_.arrived(chunk);
  }

  const device::Context& gpu_;
  const ChunkPaths& paths_;
  ChunkVisitor& visitor_;
  std::array<Slot, 2> slots_;
  Join join_{gpu_};
};

}  // namespace

void walk_chunks(const device::Context& gpu, const ChunkPaths& paths, ChunkVisitor& visitor) {
  Walk(gpu, paths, visitor).run();
}

}  // namespace constrictor::backend
