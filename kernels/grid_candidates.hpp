// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pieces of the grid search by e H e' on the device (src/quant/hessian_search_gpu.cpp puts them
// together; the equations stand there).
#include "core/bfloat16.hpp"
#include "kernels/grid_ranges.hpp"
#include "kernels/uniform_grid.hpp"

namespace constrictor::kernels {

/// One grid of one row, in 32 bits: the numbers of row, shrink and zero point.
constexpr std::int32_t grid_candidate(Index row, Index shrink, Index zero) {
  return static_cast<std::int32_t>(row << 8 | shrink << 1 | zero);
}
constexpr Index row_of(std::int32_t candidate) { return candidate >> 8; }
constexpr Index shrink_of(std::int32_t candidate) { return (candidate & 0xff) >> 1; }
constexpr Index zero_of(std::int32_t candidate) { return candidate & 1; }
inline constexpr Index most_candidate_rows = 1 << 23;

/// Some candidates of rows of weights W [rows x n] whose ranges are [rows x 1].
struct Candidates {
  const std::int32_t* items;  // [count]
  Index count;
  DeviceView<const GridRange> ranges;
  float top;
};

/// All candidates of every row, shrinks outside, zero points inside; row r's from first[r] on.
///   items [rows x 100 zero_points], first [rows + 1]
void all_candidates(const device::Stream& stream, Index rows, Index zero_points,
                    std::int32_t* items, std::int32_t* first);

/// Z = C - z of every candidate, exact in bfloat16; columns behind those of W are zero.
///   Z [at least count x at least n]
void shifted_codes(const device::Stream& stream, DeviceView<const float> W,
                   const Candidates& candidates, DeviceView<bfloat16> Z);

/// e = s (C - z) - w of every candidate; rows of E behind the last one are zero.
///   E [at least count x n]
void candidate_errors(const device::Stream& stream, DeviceView<const float> W,
                      const Candidates& candidates, DeviceView<float> E);

/// scores[i] += |s y_i - h|^2, y_i row i of Y [count x n], h the row of `h` [rows x n] that the
/// candidate belongs to.
void add_misses(const device::Stream& stream, DeviceView<const float> Y, DeviceView<const float> h,
                const Candidates& candidates, float* scores);

/// scores[i] = sum over k of A(i, k) B(i, k), i < count, added up in float64.
void row_products(const device::Stream& stream, DeviceView<const float> A,
                  DeviceView<const float> B, Index count, float* scores);

/// Candidates of each row: those of row r are [first[r], first[r + 1]).
struct CandidateRows {
  Candidates candidates;
  const std::int32_t* first;  // [rows + 1]
  const float* scores;        // [count]
};

/// How far the root of a score may be from |e R|, for the scale s of a candidate and root v = |e
/// R|:
///   row(r, 0) + s row(r, 1) + relative v
struct ScoreError {
  DeviceView<const float> row;  // [rows x 2]; row(r, 0) = 0 for a row of zeros
  float relative;
};

/// Where the errors of scores come from; see src/quant/hessian_search_gpu.cpp.
struct ScoreErrorSources {
  const float* weight_squares;  // [rows] |w|^2
  const float* target_squares;  // [rows] |w R|^2
  float split;                  // |R - high - low|, Frobenius
  float sums;                   // relative error of float32 sums
  Index inputs;
};
/// Fills ScoreError::row [rows x 2].
void score_error_rows(const device::Stream& stream, const ScoreErrorSources& sources,
                      DeviceView<float> row);

/// best[r] = the first of row r's candidates with the smallest score, and that score; unchanged
/// where a row has none.
void best_candidates(const device::Stream& stream, const CandidateRows& rows, std::int32_t* best,
                     float* best_score);

/// limit[r] = the smallest upper bound of |e R| over the candidates of row r.
void score_limits(const device::Stream& stream, const CandidateRows& rows, const ScoreError& error,
                  float* limit);

/// Which candidates survive: those whose lower bound is at most `limit`; of a row of zeros the
/// first. A row with fewer than `fewest` of them counts as none.
struct Survival {
  ScoreError error;
  const float* limit;  // [rows]
  Index fewest;
};
/// counts[r] = survivors of row r.
void count_survivors(const device::Stream& stream, const CandidateRows& rows,
                     const Survival& survival, std::int32_t* counts);
/// Survivors and their scores, row after row from new_first[r] on, in their order.
void write_survivors(const device::Stream& stream, const CandidateRows& rows,
                     const Survival& survival, const std::int32_t* new_first, std::int32_t* items,
                     float* scores);

/// Scale and zero of candidate best[r] of every row; [rows x 1] each.
void write_grids(const device::Stream& stream, const std::int32_t* best,
                 DeviceView<const GridRange> ranges, float top, DeviceView<float> scale,
                 DeviceView<float> zero);

}  // namespace constrictor::kernels
