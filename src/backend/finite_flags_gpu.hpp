// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where NaN or Inf stands in what a chunk made: asked on the device, answered when the chunk has
// arrived on the host.
#include "backend/walk_checks.hpp"
#include "calib/shard.hpp"
#include "kernels/first_nonfinite.hpp"

namespace constrictor::backend {

class FiniteFlags {
 public:
  /// `places`: the words for what is asked about, in the order of the questions.
  FiniteFlags(const device::Context& gpu, Index chunks, std::vector<const char*> places)
      : gpu_(gpu),
        places_(std::move(places)),
        on_device_(gpu, chunks, static_cast<Index>(places_.size()), "flags of chunks"),
        on_host_(chunks, static_cast<Index>(places_.size())) {}

  template <class T>
  void ask(Index chunk, Index place, DeviceView<const T> values) {
    kernels::first_nonfinite_row<T>(gpu_.main(), values,
                                    on_device_.view().block(chunk, place, 1, 1));
  }
  /// Queues the answers on copies().
  void fetch(Index chunk) {
    device::download<Index>(read_only(on_device_.view()).rows_from(chunk, 1),
                            on_host_.view().rows_from(chunk, 1), gpu_.copies());
  }
  /// NumericalError when an answer is a row of the chunk. `rows`: of what was asked about.
  void check(Index chunk, Index block, Index rows, const calib::Chunk& which, Index length) const {
    for (std::size_t p = 0; p < places_.size(); ++p) {
      const Index row = on_host_(chunk, static_cast<Index>(p));
      if (row < rows) throw nonfinite(block, places_[p], which.first_sequence + row / length);
    }
  }

 private:
  const device::Context& gpu_;
  std::vector<const char*> places_;
  device::DeviceMatrix<Index> on_device_;
  Matrix<Index> on_host_;
};

}  // namespace constrictor::backend
