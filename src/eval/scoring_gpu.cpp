// SPDX-License-Identifier: Apache-2.0
#include "eval/scoring_gpu.hpp"

#include <algorithm>
#include <utility>

#include "core/parallel.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/soft_cap.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::eval {
namespace {

using device::DeviceMatrix;
using kernels::DivergenceSums;
using kernels::SoftmaxSums;

/// What each token is scored on, [1 x windows * length]: the token after it; -1 behind the last of
/// a window.
Matrix<std::int32_t> targets_of(View<const std::int32_t> ids, Index vocabulary) {
  auto targets = Matrix<std::int32_t>::uninitialized(1, ids.size());
  for (Index w = 0; w < ids.rows; ++w) {
    std::int32_t* of_window = targets.data() + w * ids.cols;
    for (Index t = 0; t + 1 < ids.cols; ++t) {
      of_window[t] = ids(w, t + 1);
      CONSTRICTOR_REQUIRE(of_window[t] >= 0 && of_window[t] < vocabulary, of_window[t], vocabulary);
    }
    of_window[ids.cols - 1] = -1;
  }
  return targets;
}

/// Calls fn(tokens, columns of the vocabulary) piece by piece, the vocabulary from its first to its
/// last column for each piece of the tokens. 64 MiB of logits at a time; the pieces follow from the
/// window's length and the vocabulary alone, for they decide the bits of a score.
struct LogitPieces {
  LogitPieces(Index length, Index vocabulary) : vocabulary_(vocabulary) {
    constexpr Index most_logits = Index{1} << 24, multiple = 128, fewest_columns = 1024;
    rows = windows_scored_together(length) * length;
    columns = std::max(fewest_columns, most_logits / rows / multiple * multiple);
    columns = std::min(columns, vocabulary);
  }
  template <class Function>
  void for_each(Index tokens, Function&& fn) const {
    for (Index i = 0; i < pieces(tokens, rows); ++i)
      for (Index j = 0; j < pieces(vocabulary_, columns); ++j)
        fn(piece(tokens, rows, i), piece(vocabulary_, columns, j));
  }
  Index rows, columns;

 private:
  Index vocabulary_;
};

/// Logits of one model.
template <class E>
class Logits {
 public:
  Logits(const device::Context& gpu, const LogitPieces& size, DeviceView<const E> head,
         DeviceView<const E> inputs, float soft_cap)
      : gpu_(gpu),
        soft_cap_(soft_cap),
        head_(head),
        inputs_(inputs),
        memory_(gpu, std::min(size.rows, inputs.rows), size.columns, "logits") {}

  /// x W'; valid until the next call.
  DeviceView<const float> of(Piece tokens, Piece columns) {
    const DeviceView<float> y(memory_.data(), tokens.size(), columns.size(), columns.size());
    linalg::gemm<E, float>(gpu_, linalg::Transpose::no, linalg::Transpose::yes, 1.0,
                           inputs_.rows_from(tokens.first, tokens.size()),
                           head_.rows_from(columns.first, columns.size()), 0.0, y);
    if (soft_cap_ > 0) kernels::soft_cap(gpu_.main(), y, soft_cap_);
    return y;
  }

 private:
  const device::Context& gpu_;
  float soft_cap_;
  DeviceView<const E> head_, inputs_;
  DeviceMatrix<float> memory_;
};

double loss(const SoftmaxSums& row) { return kernels::log_sum(row) - row.target; }

/// Sums of a window's tokens, in their order, become means.
WindowScore window_score(const SoftmaxSums* rows, Index length) {
  WindowScore score;
  for (Index t = 0; t + 1 < length; ++t) score.nll += loss(rows[t]);
  score.nll /= static_cast<double>(length - 1);
  return score;
}
WindowScore window_score(const DivergenceSums* rows, Index length) {
  WindowScore score;
  for (Index t = 0; t < length; ++t) {
    score.kl += kernels::kl(rows[t]);
    score.agree += rows[t].p.top == rows[t].q.top;
    if (t + 1 == length) break;  // the last token predicts nothing
    score.full_nll += loss(rows[t].p);
    score.nll += loss(rows[t].q);
  }
  score.kl /= static_cast<double>(length);
  score.full_nll /= static_cast<double>(length - 1);
  score.nll /= static_cast<double>(length - 1);
  return score;
}

template <class Sums>
std::vector<WindowScore> window_scores(const device::Context& gpu, const DeviceMatrix<Sums>& sums,
                                       Index length) {
  const Matrix<Sums> rows = device::downloaded(gpu, sums.view());
  std::vector<WindowScore> scores;
  for (Index first = 0; first < rows.cols(); first += length)
    scores.push_back(window_score(rows.data() + first, length));
  return scores;
}

}  // namespace

Index windows_scored_together(Index length) { return std::max<Index>(1, 2048 / length); }

template <class E>
std::vector<WindowScore> score_windows(const device::Context& gpu, DeviceView<const E> head,
                                       DeviceView<const E> full, DeviceView<const E> quant,
                                       View<const std::int32_t> ids, float soft_cap) {
  const Index tokens = ids.size(), length = ids.cols;
  CONSTRICTOR_REQUIRE(quant.rows == tokens, quant.rows, ids.rows, length);
  CONSTRICTOR_REQUIRE(full.rows == 0 || full.rows == tokens, full.rows, tokens);
  if (tokens == 0) return {};
  CONSTRICTOR_REQUIRE(length >= 2 && head.size() > 0, length, head.rows, head.cols);
  const LogitPieces logit_pieces(length, head.rows);
  const Matrix<std::int32_t> host_targets = targets_of(ids, head.rows);
  const auto targets = device::uploaded(gpu, host_targets.view(), "the tokens to be predicted");
  const auto part = [](auto row, Piece tokens_of_part) {
    return row.cols_from(tokens_of_part.first, tokens_of_part.size());
  };

  Logits<E> quant_logits(gpu, logit_pieces, head, quant, soft_cap);
  if (full.rows == 0) {
    DeviceMatrix<SoftmaxSums> sums(gpu, 1, tokens, "sums over the vocabulary");
    logit_pieces.for_each(tokens, [&](Piece rows, Piece columns) {
      kernels::add_cross_entropy(gpu.main(), quant_logits.of(rows, columns), columns.first,
                                 part(targets.view(), rows), part(sums.view(), rows));
    });
    return window_scores(gpu, sums, length);
  }
  Logits<E> full_logits(gpu, logit_pieces, head, full, soft_cap);
  DeviceMatrix<DivergenceSums> sums(gpu, 1, tokens, "sums over the vocabulary");
  logit_pieces.for_each(tokens, [&](Piece rows, Piece columns) {
    const auto p = full_logits.of(rows, columns), q = quant_logits.of(rows, columns);
    kernels::add_divergence(gpu.main(), p, q, columns.first, part(targets.view(), rows),
                            part(sums.view(), rows));
  });
  return window_scores(gpu, sums, length);
}

template <class E>
std::vector<TokenScore> score_tokens(const device::Context& gpu, DeviceView<const E> head,
                                     DeviceView<const E> x, std::span<const std::int32_t> targets,
                                     float soft_cap) {
  const auto tokens = static_cast<Index>(targets.size());
  CONSTRICTOR_REQUIRE(x.rows == tokens && head.size() > 0, x.rows, tokens, head.rows, head.cols);
  if (tokens == 0) return {};
  for (const std::int32_t target : targets)
    CONSTRICTOR_REQUIRE(target >= 0 && target < head.rows, target, head.rows);
  const LogitPieces logit_pieces(1, head.rows);
  const View<const std::int32_t> row{targets.data(), 1, tokens, tokens};
  const auto on_device = device::uploaded(gpu, row, "the tokens to be predicted");
  Logits<E> logits(gpu, logit_pieces, head, x, soft_cap);
  DeviceMatrix<SoftmaxSums> sums(gpu, 1, tokens, "sums over the vocabulary");
  logit_pieces.for_each(tokens, [&](Piece rows, Piece columns) {
    kernels::add_cross_entropy(gpu.main(), logits.of(rows, columns), columns.first,
                               on_device.view().cols_from(rows.first, rows.size()),
                               sums.view().cols_from(rows.first, rows.size()));
  });
  const Matrix<SoftmaxSums> found = device::downloaded(gpu, std::as_const(sums).view());
  std::vector<TokenScore> scores;
  for (Index t = 0; t < tokens; ++t)
    scores.push_back({-loss(found(0, t)), found(0, t).top == row(0, t)});
  return scores;
}

template std::vector<TokenScore> score_tokens(const device::Context&, DeviceView<const float>,
                                              DeviceView<const float>,
                                              std::span<const std::int32_t>, float);
template std::vector<TokenScore> score_tokens(const device::Context&, DeviceView<const bfloat16>,
                                              DeviceView<const bfloat16>,
                                              std::span<const std::int32_t>, float);
template std::vector<WindowScore> score_windows(const device::Context&, DeviceView<const float>,
                                                DeviceView<const float>, DeviceView<const float>,
                                                View<const std::int32_t>, float);
template std::vector<WindowScore> score_windows(const device::Context&, DeviceView<const bfloat16>,
                                                DeviceView<const bfloat16>,
                                                DeviceView<const bfloat16>,
                                                View<const std::int32_t>, float);

}  // namespace constrictor::eval
