// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "inputs.hpp"
#include "timing.hpp"

namespace constrictor::bench {

/// What the aims distinguish.
enum class Kind { statistics, factor, sweep, grid, refine, descent, layer };

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
    "operations counted; n = inputs, T = tokens, L = tokens of a sequence, d = rows of a head:\n"
    "  gram T n (n + 1), cross 2 T n^2, value sums per key-value head and path\n"
    "  group (2/3 L^2 + L d) T + 2 L n T, and T n^2 (gram) or 2 T n^2 (cross)\n"
    "  inverse factor and drift propagator 2/3 n^3 each, pivoted order half of that\n"
    "  column sweep rows n^2, with drift twice that, with a beam of K prefixes K times\n"
    "  grid search per row 2 n^2 (w H), 2 n^2 for each zero, 2 n for each code that changes;\n"
    "  with groups n is the group; full search 200 candidates of 2 n^2\n"
    "  passes over scales rows n^2 with groups; polish rows 2 n^2 (Z H or Q H)\n"
    "  refinement rows 6 n^2 (W H, W D, Z H), two-sided + 8 d n rows\n"
    "% of sgemm: GFLOP/s against a float32 product measured here, of the size n x T x n for\n"
    "  statistics, n x n x n for factors, rows x n x n for the rest\n";

/// All phases of one layer; `inputs` must outlive them. `full_search`: also the grid search without
/// shortcuts.
std::vector<Phase> phases_of(const Inputs& inputs, bool full_search);

}  // namespace constrictor::bench
