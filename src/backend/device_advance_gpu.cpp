// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include "backend/chunk_walk_gpu.hpp"
#include "backend/device_gather_gpu.hpp"
#include "backend/finite_flags_gpu.hpp"
#include "comm/agree.hpp"
#include "kernels/error_sums.hpp"
#include "model/forward_gpu.hpp"

namespace constrictor::backend {
namespace {

using device::DeviceMatrix;

/// Forward on x~ through the quantized block, and how far it is from x.
template <class E>
class Advancing final : public ChunkVisitor {
 public:
  Advancing(const DeviceRank& rank, const TwoBlocks<E>& block, const calib::Shard& shard)
      : rank_(rank),
        block_(block),
        shard_(shard),
        chunks_(calib::my_chunks(shard)),
        flags_(rank.gpu, static_cast<Index>(chunks_.size()), {"the quantized block's output"}),
        sums(static_cast<std::size_t>(shard.my_sequences()) * 4, 0.) {}

  std::vector<Piece> rows() const { return calib::rows_of(shard_, chunks_); }

  std::vector<DeviceMatrix<float>> work(
      Index i, const std::vector<DeviceView<const float>>& states) override {
    auto trace = model::forward<E>(rank_.gpu, rank_.model, block_.device, states[0], shard_.length,
                                   model::Keep::output_only);
    flags_.ask(i, 0, read_only(trace.output.view()));
    Errors& errors = errors_[i % 2];
    errors.device = DeviceMatrix<double>(rank_.gpu, states[0].rows, 4, "errors of a chunk");
    errors.host = Matrix<double>::uninitialized(states[0].rows, 4);
    kernels::error_sums(rank_.gpu.main(), states[1], read_only(trace.output.view()),
                        errors.device.view());
    std::vector<DeviceMatrix<float>> moved_on;
    moved_on.push_back(std::move(trace.output));
    return moved_on;
  }
  void fetch(Index i) override {
    flags_.fetch(i);
    device::download<double>(read_only(errors_[i % 2].device.view()), errors_[i % 2].host.view(),
                             rank_.gpu.copies());
  }
  void arrived(Index i) override {
    const auto& chunk = chunks_[static_cast<std::size_t>(i)];
    const Matrix<double>& rows = errors_[i % 2].host;
    flags_.check(i, block_.host.index, rows.rows(), chunk, shard_.length);
    double* first = sums.data() + 4 * (chunk.first_sequence - shard_.first_sequence);
    for (Index r = 0; r < rows.rows(); ++r)
      for (Index k = 0; k < 4; ++k) first[r / shard_.length * 4 + k] += rows(r, k);
  }

 private:
  struct Errors {
    DeviceMatrix<double> device;
    Matrix<double> host;
  };
  const DeviceRank& rank_;
  const TwoBlocks<E>& block_;
  const calib::Shard& shard_;
  std::vector<calib::Chunk> chunks_;
  FiniteFlags flags_;
  Errors errors_[2];

 public:
  std::vector<double> sums;  // [my sequences * 4], see backend::output_error
};

}  // namespace

template <class E>
OutputError advance_on_device(const DeviceRank& rank, const TwoBlocks<E>& block,
                              calib::HiddenStates& states, SecondsByPhase& seconds) {
  const PhaseTimer timer(seconds, "advance");
  std::vector<double> sums;
  comm::agree(rank.ranks, [&] {
    Advancing<E> advancing(rank, block, states.shard());
    walk_chunks(
        rank.gpu,
        {{states.quant.view(), states.full.view()}, {states.quant.view()}, advancing.rows()},
        advancing);
    sums = std::move(advancing.sums);
  });
  states.equal = false;
  return output_error(rank.ranks, states.shard(), rank.model.hidden, sums);
}

template OutputError advance_on_device(const DeviceRank&, const TwoBlocks<float>&,
                                       calib::HiddenStates&, SecondsByPhase&);
template OutputError advance_on_device(const DeviceRank&, const TwoBlocks<bfloat16>&,
                                       calib::HiddenStates&, SecondsByPhase&);

}  // namespace constrictor::backend
