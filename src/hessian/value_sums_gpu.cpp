// SPDX-License-Identifier: Apache-2.0
#include "hessian/value_sums_gpu.hpp"

#include <algorithm>
#include <type_traits>

#include "core/parallel.hpp"
#include "kernels/convert.hpp"
#include "kernels/triangle.hpp"
#include "linalg/attention_probabilities_gpu.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::hessian {
namespace {

using device::DeviceMatrix;
using linalg::Transpose;

/// Memory for some sequences of one head; pages of [L x L], or [L x in], one below the other.
template <class E>
struct Scratch {
  DeviceMatrix<E> A, A_full;       // probabilities of one query head, lower triangular
  DeviceMatrix<float> M, M_cross;  // their products, summed over the group
  DeviceMatrix<E> B;               // M as factor; empty where E is float: M itself is one
  DeviceMatrix<E> Y;               // [sequences * L x in]  B X~

  Scratch(const device::Context& gpu, const SumShape& shape, Index sequences, Index length) {
    const Index rows = sequences * length, full_rows = shape.drift ? rows : 0;
    A = DeviceMatrix<E>(gpu, rows, length, "attention probabilities");
    A_full = DeviceMatrix<E>(gpu, full_rows, length, "attention probabilities");
    M = DeviceMatrix<float>(gpu, rows, length, "products of attention probabilities");
    M_cross = DeviceMatrix<float>(gpu, full_rows, length, "products of attention probabilities");
    if constexpr (!std::is_same_v<E, float>)
      B = DeviceMatrix<E>(gpu, rows, length, "rounded products of attention probabilities");
    Y = DeviceMatrix<E>(gpu, rows, shape.hidden, "weighted inputs of the value layer");
  }
};

enum class Part { upper, all };

/// M <- beta M + left' right of every page, both factors lower triangular: entry (i, j) needs the
/// rows >= max(i, j) only, so that column panels cost a fraction of the whole product.
template <class E>
void add_triangular(const device::Context& gpu, DeviceView<const E> left, DeviceView<const E> right,
                    float beta, DeviceView<float> M, Part part) {
  const Index L = M.cols, width = linalg::triangle_panel(L);
  const linalg::Batch pages{M.rows / L, L * left.stride, L * right.stride, L * M.stride};
  const auto multiply = [&](Index k, Piece rows, Piece cols) {  // terms k .. L - 1
    linalg::gemm_batched<E, float>(
        gpu, Transpose::yes, Transpose::no, 1, left.block(k, rows.first, L - k, rows.size()),
        right.block(k, cols.first, L - k, cols.size()), beta,
        M.block(rows.first, cols.first, rows.size(), cols.size()), pages);
  };
  for (Index i = 0; i < pieces(L, width); ++i) {
    const Piece panel = piece(L, width, i);
    multiply(panel.first, {0, panel.last}, panel);
    if (part == Part::all && panel.first > 0) multiply(panel.first, panel, {0, panel.first});
  }
}

/// Some sequences, [first, first + rows) of the trace's rows.
struct Rows {
  Index first, count;
  template <class T>
  DeviceView<const T> of(const DeviceMatrix<T>& m) const {
    return m.view().rows_from(first, count);
  }
};

/// Probabilities of one query head in one path.
template <class E>
void probabilities(const device::Context& gpu, const SumShape& shape, const DeviceTrace<E>& trace,
                   Rows rows, Index length, Index head, DeviceView<E> A) {
  const Index d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
  linalg::attention_probabilities<E>(
      gpu,
      {rows.of(trace.query).cols_from(head * d, d), rows.of(trace.key).cols_from(kv_head * d, d),
       trace.attention, length},
      A);
}

/// Y <- B X~ of every page.
template <class E>
void weigh(const device::Context& gpu, DeviceView<const E> B, DeviceView<const E> X,
           DeviceView<E> Y) {
  const Index L = B.cols;
  linalg::gemm_batched<E, E>(gpu, Transpose::no, Transpose::no, 1, B.rows_from(0, L),
                             X.rows_from(0, L), 0, Y.rows_from(0, L),
                             {B.rows / L, L * B.stride, L * X.stride, L * Y.stride});
}

/// The group of one key-value head on some sequences.
template <class E>
void add_head(const device::Context& gpu, const SumShape& shape, const DeviceTrace<E>& quant,
              const DeviceTrace<E>* full, Rows rows, Index length, Index kv_head, float beta,
              Scratch<E>& scratch, DeviceInputSums& sums) {
  const auto part = [&](auto& m) { return m.view().rows_from(0, m.empty() ? 0 : rows.count); };
  const auto A = part(scratch.A), A_full = part(scratch.A_full);
  const auto M = part(scratch.M), M_cross = part(scratch.M_cross);
  const Index group = shape.heads / shape.kv_heads;
  for (Index h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    const float sum = h == kv_head * group ? 0.f : 1.f;
    probabilities(gpu, shape, quant, rows, length, h, A);
    add_triangular<E>(gpu, A, A, sum, M, Part::upper);
    if (full == nullptr) continue;
    probabilities(gpu, shape, *full, rows, length, h, A_full);
    add_triangular<E>(gpu, A_full, A, sum, M_cross, Part::all);
  }
  const auto X = rows.of(quant.attention_input);
  const auto Y = part(scratch.Y);
  if constexpr (std::is_same_v<E, float>) {
    kernels::mirror_upper(gpu.main(), M);
    weigh<E>(gpu, M, X, Y);
  } else {
    kernels::mirrored<E>(gpu.main(), M, part(scratch.B));
    weigh<E>(gpu, part(scratch.B), X, Y);
  }
  linalg::add_cross_upper<E>(gpu, X, Y, sums.gram.view(), beta);
  if (full == nullptr) return;
  if constexpr (std::is_same_v<E, float>) {
    weigh<E>(gpu, M_cross, X, Y);
  } else {
    kernels::convert<float, E>(gpu.main(), M_cross, part(scratch.B));
    weigh<E>(gpu, part(scratch.B), X, Y);
  }
  linalg::add_cross<E>(gpu, rows.of(full->attention_input), Y, sums.cross.view(), beta);
}

}  // namespace

template <class E>
Index value_sequences(const SumShape& shape, Index length) {
  constexpr Index most_bytes = Index(3) << 29, element = sizeof(E);
  const Index paths = shape.drift ? 2 : 1;
  const Index page =
      length * (paths * length * (element + Index(sizeof(float))) +
                (std::is_same_v<E, float> ? 0 : length * element) + shape.hidden * element);
  return std::max<Index>(1, most_bytes / page);
}

template <class E>
void add_value_sums(const device::Context& gpu, const SumShape& shape, const DeviceTrace<E>& quant,
                    const DeviceTrace<E>* full, Index length, float beta,
                    std::vector<DeviceInputSums>& sums) {
  const Index tokens = quant.attention_input.rows(), sequences = tokens / length;
  const Index at_once = std::min(sequences, value_sequences<E>(shape, length));
  CONSTRICTOR_REQUIRE(sequences * length == tokens && (full != nullptr) == shape.drift, tokens,
                      length, shape.drift);
  Scratch<E> scratch(gpu, shape, at_once, length);
  for (Index first = 0; first < sequences; first += at_once) {
    const Rows rows{first * length, std::min(at_once, sequences - first) * length};
    for (Index k = 0; k < shape.kv_heads; ++k)
      add_head(gpu, shape, quant, full, rows, length, k, first == 0 ? beta : 1.f, scratch,
               sums[static_cast<std::size_t>(k)]);
  }
}

template Index value_sequences<float>(const SumShape&, Index);
template Index value_sequences<bfloat16>(const SumShape&, Index);
template void add_value_sums(const device::Context&, const SumShape&, const DeviceTrace<float>&,
                             const DeviceTrace<float>*, Index, float,
                             std::vector<DeviceInputSums>&);
template void add_value_sums(const device::Context&, const SumShape&, const DeviceTrace<bfloat16>&,
                             const DeviceTrace<bfloat16>*, Index, float,
                             std::vector<DeviceInputSums>&);

}  // namespace constrictor::hessian
