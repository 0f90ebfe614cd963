// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "inputs.hpp"

namespace constrictor::bench {

/// What the aims distinguish.
enum class Kind { statistics, factor, sweep, grid, refine, layer };

/// C [m x n] <- A [m x k] B [k x n]: the plain float32 product that a phase is held against.
struct ProductSize {
  Index m = 0, n = 0, k = 0;
  bool operator==(const ProductSize&) const = default;
  double operations() const {
    return 2. * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

/// One thing to time. `operations`: additions and multiplications that the phase cannot do without,
/// counted as the legend of the table says; 0 = not counted.
struct Phase {
  std::string name;
  Kind kind;
  double operations;
  ProductSize reference;
  std::function<void()> run;  // on as many threads as are set, the work cut as the program cuts it
};

/// How `operations` is counted, for the foot of the table.
inline constexpr const char* operation_counts =
    "operations counted, n = inputs, T = tokens, d = rows of a head, L = tokens of a sequence:\n"
    "  gram T n (n + 1); cross 2 T n^2; value sums per key-value head and path: group (2/3 L^2 + L "
    "d) T + 2 L n T\n"
    "  and T n^2 (gram) or 2 T n^2 (cross); inverse factor and drift propagator 2/3 n^3 each\n"
    "  column sweep rows n^2, with drift twice that; grid search per row 2 n^2 for h, 2 n^2 per "
    "zero, 2 n per changed code\n"
    "  (with groups n is the group, full search: 200 candidates of 2 n^2); refinement rows 8 n^2, "
    "two-sided + 8 d n rows\n"
    "% of sgemm: GFLOP/s against a float32 product measured here: n x T x n (statistics), n x n x "
    "n (factors), rows x n x n\n";

/// All phases of one layer; `inputs` must outlive them. `full_search`: also the grid search without
/// shortcuts.
std::vector<Phase> phases_of(const Inputs& inputs, bool full_search);

}  // namespace constrictor::bench
