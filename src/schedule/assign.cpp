// SPDX-License-Identifier: Apache-2.0
#include "schedule/assign.hpp"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

namespace constrictor::schedule {

std::vector<int> assign(const std::vector<Task>& tasks, int ranks) {
  CONSTRICTOR_REQUIRE(ranks >= 1, ranks);
  std::vector<std::size_t> order(tasks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (tasks[a].cost != tasks[b].cost) return tasks[a].cost > tasks[b].cost;
    return tasks[a].id < tasks[b].id;
  });

  using Load = std::pair<double, int>;  // work so far, rank: the smallest pair comes next
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int rank = 0; rank < ranks; ++rank) loads.emplace(0.0, rank);
  std::vector<int> rank_of(tasks.size());
  for (std::size_t task : order) {
    const auto [load, rank] = loads.top();
    loads.pop();
    rank_of[task] = rank;
    loads.emplace(load + tasks[task].cost, rank);
  }
  return rank_of;
}

double imbalance(const std::vector<Task>& tasks, const std::vector<int>& rank_of, int ranks) {
  CONSTRICTOR_REQUIRE(tasks.size() == rank_of.size(), tasks.size(), rank_of.size());
  std::vector<double> loads(static_cast<std::size_t>(ranks));
  for (std::size_t i = 0; i < tasks.size(); ++i)
    loads[static_cast<std::size_t>(rank_of[i])] += tasks[i].cost;
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  return total > 0 ? *std::max_element(loads.begin(), loads.end()) * ranks / total : 1.0;
}

}  // namespace constrictor::schedule
