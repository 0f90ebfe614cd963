// SPDX-License-Identifier: Apache-2.0
// Grid search by e H e' on tensor cores. With the upper root R, H = R R', with Z = C - z (integers,
// exact in bfloat16), e = s Z - w, y = Z R and h = w R:
//
//   score = |e R|^2 = |s y - h|^2,    R = high + low + rest (bfloat16, bfloat16, a few 2^-20)
//
// The columns of R are worked on in stages. A stage adds its columns' share to the scores of the
// candidates that are left, so a score is a lower bound of what it will be; each row's best
// candidate is followed to the end at once, and whatever is above that already cannot win any more.
// R is upper triangular: the first quarter of its columns costs a sixteenth of the work.
//
// How far |s y - h| may be from |e R|, v short for it:
//   |w - s Z| |rest| from the split       <= (|w| + s sqrt(n) / 2) |rest|
//   sums in float32, on tensor cores too  <= u (v + 2 |h|),  u = 2^-24 (16 + n / 16)
//   the root itself, scores in float32     <= 2.5e-5 v
// Candidates that this leaves in doubt are scored as e H e' in float32, as the CPU does.
#include "quant/hessian_search_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/permute.hpp"
#include "kernels/split_bfloat16.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::quant {

using device::DeviceMatrix;
using linalg::gemm;
using linalg::Transpose;

namespace {

constexpr Index scratch_bytes = Index{1} << 29;  // of the codes and products of a chunk

Index rounded_up(Index n, Index to) { return (n + to - 1) / to * to; }

float sum_error(Index n) { return std::ldexp(16.f + static_cast<float>(n) / 16.f, -24); }

float relative_error(Index n) { return 2.5e-5f + sum_error(n); }

}  // namespace

SearchPlan search_plan(Index inputs) {
  SearchPlan plan;
  if (inputs >= 512)
    for (const Index share : {16, 4, 2}) plan.stages.push_back((inputs - inputs / share) / 64 * 64);
  plan.stages.push_back(0);
  plan.chunk = std::max<Index>(128, scratch_bytes / (2 * inputs + 4 * plan.panel + 1) / 128 * 128);
  return plan;
}

/// The weights of one call and what follows from them and H.
struct HessianSearch::Rows {
  DeviceView<const float> W;  // original order
  DeviceView<const kernels::GridRange> ranges;
  float top;
  DeviceMatrix<float> ordered;  // W in the order of R
  DeviceMatrix<float> h;        // W R
  DeviceMatrix<float> slack;    // [rows x 2], kernels::ScoreError
  Index count() const { return W.rows; }
};

/// Candidates row after row, with what has been added up of their scores.
struct HessianSearch::List {
  DeviceMatrix<std::int32_t> items;  // [1 x count]
  DeviceMatrix<float> scores;        // [1 x count]
  DeviceMatrix<std::int32_t> first;  // [1 x rows + 1]
  Index count = 0;

  kernels::CandidateRows on(const Rows& rows) const {
    return {{items.data(), count, rows.ranges, rows.top}, first.data(), scores.data()};
  }
};

HessianSearch::HessianSearch(const device::Context& gpu, DeviceView<const float> H,
                             DeviceView<const float> R, std::span<const std::int32_t> order,
                             SearchPlan plan)
    : gpu_(&gpu), H_(H), R_(R), plan_(std::move(plan)) {
  if (R.rows == 0) return;
  const Index n = R.rows, pitch = rounded_up(n, 8);
  high_ = {gpu, n, pitch, "upper halves of the root for the grid search"};
  low_ = {gpu, n, pitch, "lower halves of the root for the grid search"};
  DeviceMatrix<float> rest(gpu, 1, n, "rounding of the root");
  kernels::split_bfloat16(gpu.main(), R, high_.view(), low_.view(), rest.data());
  double squares = 0;
  const auto rows = device::downloaded<float>(gpu, read_only(rest.view()));
  for (const float value : rows.values()) squares += static_cast<double>(value);
  split_error_ = static_cast<float>(std::sqrt(squares));
  if (!order.empty())
    order_ = device::uploaded<std::int32_t>(gpu, View<const std::int32_t>(order.data(), 1, n, n),
                                            "order of the root");
}

HessianSearch::Rows HessianSearch::prepared(DeviceView<const float> W,
                                            DeviceView<const kernels::GridRange> ranges,
                                            float top) const {
  Rows rows{W, ranges, top, {}, {}, {}};
  if (R_.rows == 0) return rows;
  rows.ordered = {*gpu_, W.rows, W.cols, "weights in the order of the root"};
  rows.h = {*gpu_, W.rows, W.cols, "weights times the root"};
  rows.slack = {*gpu_, W.rows, 2, "errors of scores"};
  kernels::gather<float>(gpu_->main(), W, {nullptr, order_.data()}, rows.ordered.view());
  gemm<float, float>(*gpu_, Transpose::no, Transpose::no, 1, read_only(rows.ordered.view()), R_, 0,
                     rows.h.view());
  DeviceMatrix<float> squares(*gpu_, 2, W.rows, "squares of rows");
  kernels::row_squares(gpu_->main(), W, squares.view().row(0));
  kernels::row_squares(gpu_->main(), read_only(rows.h.view()), squares.view().row(1));
  kernels::score_error_rows(
      gpu_->main(),
      {squares.view().row(0), squares.view().row(1), split_error_, sum_error(W.cols), W.cols},
      rows.slack.view());
  return rows;
}

HessianSearch::List HessianSearch::empty_list(Index rows, Index count) const {
  return {DeviceMatrix<std::int32_t>(*gpu_, 1, count, "candidates"),
          DeviceMatrix<float>(*gpu_, 1, count, "scores of candidates"),
          DeviceMatrix<std::int32_t>(*gpu_, 1, rows + 1, "first candidates of rows"), count};
}

HessianSearch::List HessianSearch::full_list(const Rows& rows, Index zero_points) const {
  List list = empty_list(rows.count(), rows.count() * zero_points * kernels::grid_shrinks);
  kernels::all_candidates(gpu_->main(), rows.count(), zero_points, list.items.data(),
                          list.first.data());
  device::set_zero<float>(list.scores.view(), gpu_->main());
  return list;
}

/// One candidate a row, with its score so far.
HessianSearch::List HessianSearch::leaders(const DeviceMatrix<std::int32_t>& best,
                                           const DeviceMatrix<float>& scores) const {
  List list = empty_list(best.cols(), best.cols());
  device::copy<std::int32_t>(best.view(), list.items.view(), gpu_->main());
  device::copy<float>(scores.view(), list.scores.view(), gpu_->main());
  std::vector<std::int32_t> first(static_cast<std::size_t>(best.cols() + 1));
  std::iota(first.begin(), first.end(), 0);
  device::upload<std::int32_t>(View<const std::int32_t>(first.data(), 1, best.cols() + 1, 0),
                               list.first.view(), gpu_->main());
  return list;
}

/// Adds the columns [first, last) of the root to the scores of all candidates of a list.
void HessianSearch::add_scores(const Rows& rows, List& list, Index first, Index last) const {
  const Index chunk = std::min(plan_.chunk, list.count);
  if (chunk == 0 || first == last) return;
  DeviceMatrix<bfloat16> Z(*gpu_, chunk, rounded_up(last, 8), "codes of candidates");
  DeviceMatrix<float> Y(*gpu_, chunk, std::min(plan_.panel, last - first), "codes times the root");
  const auto weights = read_only(rows.ordered.view().cols_from(0, last));
  for (Index start = 0; start < list.count; start += chunk) {
    const Index count = std::min(chunk, list.count - start);
    const kernels::Candidates candidates{list.items.data() + start, count, rows.ranges, rows.top};
    kernels::shifted_codes(gpu_->main(), weights, candidates, Z.view());
    for (Index panel = first; panel < last; panel += plan_.panel) {
      const Index width = std::min(plan_.panel, last - panel), depth = panel + width;
      const auto y = Y.view().block(0, 0, count, width);
      const auto codes = read_only(Z.view().block(0, 0, count, depth));
      const auto root = [&](const DeviceMatrix<bfloat16>& part) {
        return part.view().block(0, panel, depth, width);
      };
      gemm<bfloat16, float>(*gpu_, Transpose::no, Transpose::no, 1, codes, root(high_), 0, y);
      gemm<bfloat16, float>(*gpu_, Transpose::no, Transpose::no, 1, codes, root(low_), 1, y);
      kernels::add_misses(gpu_->main(), read_only(y),
                          read_only(rows.h.view().cols_from(panel, width)), candidates,
                          list.scores.data() + start);
    }
  }
}

HessianSearch::List HessianSearch::survivors(const Rows& rows, const List& list,
                                             const DeviceMatrix<float>& limit, Index fewest) const {
  const kernels::Survival survival{
      {read_only(rows.slack.view()), relative_error(rows.W.cols)}, limit.data(), fewest};
  DeviceMatrix<std::int32_t> counts(*gpu_, 1, rows.count(), "numbers of candidates");
  kernels::count_survivors(gpu_->main(), list.on(rows), survival, counts.data());
  const auto kept = device::downloaded<std::int32_t>(*gpu_, read_only(counts.view()));
  std::vector<std::int32_t> first{0};
  for (const std::int32_t count : kept.values()) first.push_back(first.back() + count);
  List left = empty_list(rows.count(), first.back());
  device::upload<std::int32_t>(View<const std::int32_t>(first.data(), 1, left.first.cols(), 0),
                               left.first.view(), gpu_->main());
  kernels::write_survivors(gpu_->main(), list.on(rows), survival, left.first.data(),
                           left.items.data(), left.scores.data());
  return left;
}

/// best[r] = the first candidate of row r with the smallest e H e'; rows without candidates keep
/// theirs.
void HessianSearch::choose_exactly(const Rows& rows, const List& list, Index chunk,
                                   DeviceMatrix<std::int32_t>& best) const {
  if (list.count == 0) return;
  DeviceMatrix<float> E(*gpu_, chunk, rows.W.cols, "errors of candidates"),
      EH(*gpu_, chunk, rows.W.cols, "errors times H"),
      smallest(*gpu_, 1, rows.count(), "smallest scores");
  for (Index start = 0; start < list.count; start += chunk) {
    const Index count = std::min(chunk, list.count - start);
    // Always a whole chunk: the bits of a score must not depend on how many others there are.
    kernels::candidate_errors(gpu_->main(), rows.W,
                              {list.items.data() + start, count, rows.ranges, rows.top}, E.view());
    gemm<float, float>(*gpu_, Transpose::no, Transpose::no, 1, read_only(E.view()), H_, 0,
                       EH.view());
    kernels::row_products(gpu_->main(), read_only(E.view()), read_only(EH.view()), count,
                          list.scores.data() + start);
  }
  kernels::best_candidates(gpu_->main(), list.on(rows), best.data(), smallest.data());
}

void HessianSearch::fit(DeviceView<const float> W, DeviceView<const kernels::GridRange> ranges,
                        Index zero_points, float top, DeviceView<float> scale,
                        DeviceView<float> zero) const {
  CONSTRICTOR_REQUIRE(W.cols == H_.rows && W.rows < kernels::most_candidate_rows, W.cols, H_.rows,
                      W.rows);
  if (W.rows == 0) return;
  const Rows rows = prepared(W, ranges, top);
  DeviceMatrix<std::int32_t> best(*gpu_, 1, W.rows, "chosen candidates");
  List list = full_list(rows, zero_points);
  if (R_.rows == 0) {
    const Index most = rounded_up(std::max<Index>(1, scratch_bytes / 8 / W.cols), 128);
    choose_exactly(rows, list, std::min(list.count, most), best);
  } else {
    DeviceMatrix<float> smallest(*gpu_, 1, W.rows, "smallest scores"),
        limit(*gpu_, 1, W.rows, "limits of scores");
    Index last = W.cols;
    const kernels::ScoreError error{read_only(rows.slack.view()), relative_error(W.cols)};
    for (const Index first : plan_.stages) {
      add_scores(rows, list, first, last);
      kernels::best_candidates(gpu_->main(), list.on(rows), best.data(), smallest.data());
      if (first > 0) {  // follow each row's best to the end
        List front = leaders(best, smallest);
        add_scores(rows, front, 0, first);
        kernels::score_limits(gpu_->main(), front.on(rows), error, limit.data());
      } else {
        kernels::score_limits(gpu_->main(), list.on(rows), error, limit.data());
      }
      list = survivors(rows, list, limit, first > 0 ? 1 : 2);
      last = first;
    }
    choose_exactly(rows, list, std::min(plan_.exact_chunk, rounded_up(4 * W.rows, 64)), best);
  }
  kernels::write_grids(gpu_->main(), best.data(), ranges, top, scale, zero);
}

HessianSearch::Scores HessianSearch::all_scores(DeviceView<const float> W,
                                                DeviceView<const kernels::GridRange> ranges,
                                                Index zero_points, float top) const {
  const Rows rows = prepared(W, ranges, top);
  List list = full_list(rows, zero_points);
  add_scores(rows, list, 0, W.cols);
  const Index each = kernels::grid_shrinks * zero_points;
  const DeviceView<const float> scores(list.scores.data(), W.rows, each, each);
  return {device::downloaded<float>(*gpu_, scores),
          device::downloaded<float>(*gpu_, rows.slack.view()), relative_error(W.cols)};
}

}  // namespace constrictor::quant
