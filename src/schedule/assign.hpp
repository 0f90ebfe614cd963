// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::schedule {

/// A piece of work that one rank does alone.
struct Task {
  Index id = 0;     // for ties; unique
  double cost = 0;  // any unit, for example multiply-adds
};

/// The rank of every task, in the order given: longest task first, each to the rank with the least
/// work so far; ties go to the lower id and the lower rank. The same answer on every rank and for
/// any order of the tasks. At most 4/3 of the best possible time (Graham 1969).
std::vector<int> assign(const std::vector<Task>& tasks, int ranks);

/// The cost of the busiest rank over that of the average one, 1 = perfect; 1 without work.
double imbalance(const std::vector<Task>& tasks, const std::vector<int>& rank_of, int ranks);

}  // namespace constrictor::schedule
