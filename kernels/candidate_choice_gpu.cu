// SPDX-License-Identifier: Apache-2.0
// Choices among the candidates of a row: a thread a row, at most 200 numbers each. Little work, in
// the order that the search asks for.
#include "kernels/grid_candidates.hpp"
#include "kernels/launch.cuh"

namespace constrictor::kernels {
namespace {

constexpr int threads = 64;

__device__ inline Index this_row() { return Index{blockIdx.x} * threads + threadIdx.x; }

__global__ void list_all(Index rows, Index zero_points, std::int32_t* items, std::int32_t* first) {
  const Index i = this_row(), each = grid_shrinks * zero_points;
  if (i < rows * each) items[i] = grid_candidate(i / each, i % each / zero_points, i % zero_points);
  if (i <= rows) first[i] = static_cast<std::int32_t>(i * each);
}

/// |s Z| <= |w| + s sqrt(n) / 2: a code is at most half a step from its weight, or nearer to zero.
__global__ void fill_error_rows(ScoreErrorSources sources, DeviceView<float> row) {
  const Index r = this_row();
  if (r >= row.rows) return;
  const float weight = sqrtf(sources.weight_squares[r]);
  row(r, 0) = weight * sources.split + 2.f * sources.sums * sqrtf(sources.target_squares[r]);
  row(r, 1) = 0.5f * sqrtf(static_cast<float>(sources.inputs)) * sources.split;
}

__global__ void find_best(CandidateRows rows, Index count, std::int32_t* best, float* best_score) {
  const Index r = this_row();
  if (r >= count || rows.first[r] == rows.first[r + 1]) return;
  Index at = rows.first[r];
  float smallest = rows.scores[at];
  for (Index i = at + 1; i < rows.first[r + 1]; ++i) {
    const float score = rows.scores[i];
    if (score < smallest) smallest = score, at = i;
  }
  best[r] = rows.candidates.items[at];
  best_score[r] = smallest;
}

/// What |e R| may be off by.
__device__ inline float slack(const CandidateRows& rows, const ScoreError& error, Index r, Index i,
                              float root) {
  const GridRange range = rows.candidates.ranges(r, 0);
  const float scale = shrunk_scale<float>(range.low, range.high,
                                          shrink_of(rows.candidates.items[i]), rows.candidates.top);
  return error.row(r, 0) + scale * error.row(r, 1) + error.relative * root;
}

__global__ void find_limits(CandidateRows rows, Index count, ScoreError error, float* limit) {
  const Index r = this_row();
  if (r >= count) return;
  float smallest = INFINITY;
  for (Index i = rows.first[r]; i < rows.first[r + 1]; ++i) {
    const float root = sqrtf(rows.scores[i]);
    smallest = fminf(smallest, root + slack(rows, error, r, i, root));
  }
  limit[r] = smallest;
}

__device__ inline bool survives(const CandidateRows& rows, const Survival& survival, Index r,
                                Index i) {
  if (survival.error.row(r, 0) == 0.f) return i == rows.first[r];
  const float root = sqrtf(rows.scores[i]);
  return root - slack(rows, survival.error, r, i, root) <= survival.limit[r];
}

__device__ inline Index survivors(const CandidateRows& rows, const Survival& survival, Index r) {
  Index kept = 0;
  for (Index i = rows.first[r]; i < rows.first[r + 1]; ++i) kept += survives(rows, survival, r, i);
  return kept < survival.fewest ? 0 : kept;
}

__global__ void count_kept(CandidateRows rows, Index count, Survival survival,
                           std::int32_t* counts) {
  const Index r = this_row();
  if (r < count) counts[r] = static_cast<std::int32_t>(survivors(rows, survival, r));
}

__global__ void write_kept(CandidateRows rows, Index count, Survival survival,
                           const std::int32_t* new_first, std::int32_t* items, float* scores) {
  const Index r = this_row();
  if (r >= count || new_first[r] == new_first[r + 1]) return;
  Index to = new_first[r];
  for (Index i = rows.first[r]; i < rows.first[r + 1]; ++i) {
    if (!survives(rows, survival, r, i)) continue;
    items[to] = rows.candidates.items[i];
    scores[to] = rows.scores[i];
    ++to;
  }
}

__global__ void take_grids(const std::int32_t* best, DeviceView<const GridRange> ranges, float top,
                           DeviceView<float> scale, DeviceView<float> zero) {
  const Index r = this_row();
  if (r >= ranges.rows) return;
  const GridRange range = ranges(r, 0);
  scale(r, 0) = shrunk_scale<float>(range.low, range.high, shrink_of(best[r]), top);
  zero(r, 0) = range.zeros[zero_of(best[r])];
}

LaunchShape thread_each(Index count) {
  return {grid_of(count, threads, 0x7fffffff), dim3(threads), 0};
}

}  // namespace

void all_candidates(const device::Stream& stream, Index rows, Index zero_points,
                    std::int32_t* items, std::int32_t* first) {
  launch("all_candidates", list_all, thread_each(rows * zero_points * grid_shrinks + 1), stream,
         rows, zero_points, items, first);
}

void score_error_rows(const device::Stream& stream, const ScoreErrorSources& sources,
                      DeviceView<float> row) {
  launch("score_error_rows", fill_error_rows, thread_each(row.rows), stream, sources, row);
}

void best_candidates(const device::Stream& stream, const CandidateRows& rows, std::int32_t* best,
                     float* best_score) {
  const Index count = rows.candidates.ranges.rows;
  launch("best_candidates", find_best, thread_each(count), stream, rows, count, best, best_score);
}

void score_limits(const device::Stream& stream, const CandidateRows& rows, const ScoreError& error,
                  float* limit) {
  const Index count = rows.candidates.ranges.rows;
  launch("score_limits", find_limits, thread_each(count), stream, rows, count, error, limit);
}

void count_survivors(const device::Stream& stream, const CandidateRows& rows,
                     const Survival& survival, std::int32_t* counts) {
  const Index count = rows.candidates.ranges.rows;
  launch("count_survivors", count_kept, thread_each(count), stream, rows, count, survival, counts);
}

void write_survivors(const device::Stream& stream, const CandidateRows& rows,
                     const Survival& survival, const std::int32_t* new_first, std::int32_t* items,
                     float* scores) {
  const Index count = rows.candidates.ranges.rows;
  launch("write_survivors", write_kept, thread_each(count), stream, rows, count, survival,
         new_first, items, scores);
}

void write_grids(const device::Stream& stream, const std::int32_t* best,
                 DeviceView<const GridRange> ranges, float top, DeviceView<float> scale,
                 DeviceView<float> zero) {
  launch("write_grids", take_grids, thread_each(ranges.rows), stream, best, ranges, top, scale,
         zero);
}

}  // namespace constrictor::kernels
