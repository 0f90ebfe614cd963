// SPDX-License-Identifier: Apache-2.0
#pragma once
// search_hessian on the device, for the rows of one group.
#include <span>
#include <vector>

#include "device/device_matrix.hpp"
#include "kernels/grid_candidates.hpp"

namespace constrictor::quant {

/// Sizes of a search over n inputs; they follow from shapes only.
struct SearchPlan {
  /// First columns of R of each stage, from the back; the last one is 0. After a stage candidates
  /// that cannot win are dropped.
  std::vector<Index> stages;
  Index panel = 1024;       // columns of a product
  Index chunk = 0;          // candidates whose codes are on the device together
  Index exact_chunk = 512;  // close candidates that are scored together, at most
};
SearchPlan search_plan(Index inputs);

/// Grid search by e H e' with everything that depends on H only prepared once.
class HessianSearch {
 public:
  /// H [n x n] must outlive the search, and so must R and `order` where they are given.
  ///   R      upper root of H in `order` (position -> input; empty = original). Empty: every
  ///          candidate is scored with H, in float32
  HessianSearch(const device::Context& gpu, DeviceView<const float> H, DeviceView<const float> R,
                std::span<const std::int32_t> order, SearchPlan plan);

  /// What quant::search_hessian chooses for each row of W [rows x n].
  ///   ranges       [rows x 1] of the rows
  ///   zero_points  1 where every range has one only (symmetric grids), else 2
  ///   scale, zero  [rows x 1] out
  void fit(DeviceView<const float> W, DeviceView<const kernels::GridRange> ranges,
           Index zero_points, float top, DeviceView<float> scale, DeviceView<float> zero) const;

  /// What `fit` judges by when it drops nothing, for tests.
  struct Scores {
    Matrix<float> score;  // [rows x candidates] |s y - h|^2
    Matrix<float> error;  // [rows x 2] as in kernels::ScoreError
    float relative;
  };
  Scores all_scores(DeviceView<const float> W, DeviceView<const kernels::GridRange> ranges,
                    Index zero_points, float top) const;

 private:
  struct Rows;
  struct List;
  List empty_list(Index rows, Index count) const;
  List leaders(const device::DeviceMatrix<std::int32_t>& best,
               const device::DeviceMatrix<float>& scores) const;
  List full_list(const Rows& rows, Index zero_points) const;
  void add_scores(const Rows& rows, List& list, Index first, Index last) const;
  List survivors(const Rows& rows, const List& list, const device::DeviceMatrix<float>& limit,
                 Index fewest) const;
  void choose_exactly(const Rows& rows, const List& list, Index chunk,
                      device::DeviceMatrix<std::int32_t>& best) const;
  Rows prepared(DeviceView<const float> W, DeviceView<const kernels::GridRange> ranges,
                float top) const;

  const device::Context* gpu_;
  DeviceView<const float> H_, R_;
  SearchPlan plan_;
  device::DeviceMatrix<std::int32_t> order_;
  device::DeviceMatrix<bfloat16> high_, low_;  // R = high + low + rest
  float split_error_ = 0;                      // |rest|
};

}  // namespace constrictor::quant
