// SPDX-License-Identifier: Apache-2.0
#pragma once
// What quantization makes of one linear layer, and what a referee would ask about it.

#include <algorithm>
#include <string>
#include <vector>

#include "core/matrix.hpp"
#include "data/block.hpp"
#include "data/specs.hpp"

namespace constrictor {

/// How learned rounding (aespa) went.
struct RoundingFacts {
  double loss_start = 0;    // L(Q) of the GPTQ start
  Index steps = 0;          // taken, the most of the layer's parts
  Index undecided = 0;      // weights that the steps had not brought to one side
  Index rows_at_start = 0;  // rows that keep their start: learning did not lower L

  void add(const RoundingFacts& part) {
    loss_start += part.loss_start;
    steps = std::max(steps, part.steps);
    undecided += part.undecided;
    rows_at_start += part.rows_at_start;
  }
};

struct QuantizedLayer {
  std::string name;
  Role role = Role::query;
  Index expert = -1;               // which one of a mixture; -1: no expert
  Index expert_tokens = 0;         // that it was used for
  bool shared_statistics = false;  // those of all experts of the block: too few tokens of its own
  QuantSpec spec;                  // what was asked for, overrides applied
  std::string method_used;         // differs from spec.method after a fallback only

  Matrix<std::uint8_t> codes;  // [out x in], original order of rows and columns
  Matrix<float> scale;         // [out x groups], after refinement, exactly what was used
  Matrix<float> zero;          // [out x groups], integer-valued
  std::vector<std::int32_t>
      column_order;  // position -> column; empty when original. Value layers: [heads * in]
  std::vector<std::int32_t> row_order;  // position -> row; empty when original

  double loss_before = 0;             // L(Q) before refinement and polish (method: section 2)
  double loss_after = 0;              // L(Q) of what is stored
  double loss_rounding = 0;           // L of plain rounding on the same grid
  double loss_scale = 0;              // tr(H_out W H_in W')
  std::vector<double> loss_by_stage;  // L(Q) after each of stages_of(spec)
  Index frozen_scales = 0;            // groups of a row whose codes all equal the zero point
  double alpha_used =
      0;  // share of the drift that was corrected, mean of the input sides'; 0 = none
  RoundingFacts rounding;  // aespa only
  double damping = 0;      // λ that the factorization took, the largest of the layer's matrices
  int damping_retries = 0;
  Index dead_columns = 0;         // inputs that are always zero
  double condition_estimate = 0;  // of damped H_in, from the diagonal of its factor
  double seconds = 0;             // of the solver, summed over threads and ranks
  int rank = 0;                   // that factored H_in

  std::vector<float> row_loss;       // [out] contribution of each row to loss_after
  std::vector<float> column_energy;  // [in]  column norms of Q - W

  double relative_loss() const { return loss_scale > 0 ? loss_after / loss_scale : 0; }
};

}  // namespace constrictor
