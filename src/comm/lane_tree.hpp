// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums over lanes whose bits do not depend on the number of ranks (`reduction: exact`).
//
// Lanes are the leaves of a binary tree that depends on their number only:
//     node(0, i)     = sums of lane i
//     node(level, i) = node(level - 1, 2 i) + node(level - 1, 2 i + 1)
// and a node without right child passes through. Each addition is one float addition per element,
// done once, on whatever rank. Example, 5 lanes on 2 ranks: rank 0 holds lanes 0 1 2, rank 1 lanes
// 3 4.
//     level 1:  (0+1)    2+3: rank 1 sends 3 to rank 0    4 passes
//     level 2:  (0+1)+(2+3)                               4 passes
//     level 3:  rank 1 sends 4 to rank 0

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "comm/lane_stack.hpp"
#include "comm/sum_parts.hpp"

namespace constrictor::comm {

/// Contiguous runs whose lengths differ by one at most, longer ones first: rank 0 is never without.
LaneRange lanes_of_rank(Index lanes, int ranks, int rank);
int rank_of_lane(Index lanes, int ranks, Index lane);

/// Sets of sums that a rank holds at most while its lanes come in, the lane in work included.
Index most_sums_alive(Index lanes, LaneRange mine);

/// Use, collectively:
///     LaneTree<GramSums> tree(ranks, lanes, [&] { return GramSums(shape); });   // zero sums
///     agree(ranks, [&] {                                    // a failing rank must not reach
///     finish
///       for (Index lane = tree.mine().first; lane < tree.mine().last; ++lane) {
///         GramSums sums = tree.zeros();
///         ...
///         tree.push(std::move(sums));
///       }
///     });
///     std::optional<GramSums> total = tree.finish(root);    // or tree.finish_everywhere()
/// Finished siblings are added at once, so that about log2(lanes) sets are alive.
template <SetOfSums Sums>
class LaneTree {
 public:
  using Node = typename LaneStack<Sums>::Node;

  /// `make` allocates one set, whatever it holds. `ranks` must outlive the tree.
  LaneTree(const Communicator& ranks, Index lanes, std::function<Sums()> make)
      : ranks_(&ranks),
        lanes_(lanes),
        stack_(lanes, lanes_of_rank(lanes, ranks.size(), ranks.rank()), std::move(make),
               [](Sums& left, Sums& right) { add(parts_of(left), parts_of(right)); }) {}

  LaneRange mine() const { return stack_.mine(); }

  /// A set of sums for the next lane, holding anything: memory of sums already added is used again.
  Sums blank() { return stack_.blank(); }
  /// The same, all zero.
  Sums zeros() {
    Sums sums = blank();
    set_zero(parts_of(sums));
    return sums;
  }

  /// The sums of my next lane; lanes come in ascending order.
  void push(Sums sums) { stack_.push(std::move(sums)); }
  /// Instead: what a LaneStack of this rank's lanes, on a device say, made of them.
  void adopt(std::vector<Node> nodes) { stack_.adopt(std::move(nodes)); }

  /// Collective. The sum over all lanes, at `root` only. Every rank must have pushed all its lanes.
  std::optional<Sums> finish(int root = 0) {
    merge_over_ranks();
    auto& nodes = stack_.nodes();
    if (root != 0) {
      if (ranks_->rank() == 0) send_parts(*ranks_, parts_of(nodes.front().second), root);
      if (ranks_->rank() == root) {
        Sums total = blank();
        receive_parts(*ranks_, parts_of(total), 0);
        nodes.clear();
        return total;
      }
    }
    std::optional<Sums> total;
    if (ranks_->rank() == root) total.emplace(std::move(nodes.front().second));
    nodes.clear();
    return total;
  }

  /// Collective. The sum over all lanes on every rank.
  Sums finish_everywhere() {
    std::optional<Sums> at_root = finish(0);
    Sums total = at_root ? std::move(*at_root) : blank();
    broadcast_parts(*ranks_, parts_of(total), 0);
    return total;
  }

 private:
  /// Level by level, the holder of a right child sends it to the holder of its sibling; a node is
  /// held by the rank of its first lane. Sends go to lower ranks only, hence no cycle of waiting.
  void merge_over_ranks() {
    CONSTRICTOR_REQUIRE(stack_.complete());
    for (int level = 0; level < tree_height(lanes_); ++level)
      for (Index left = 0; left + 1 < nodes_on_level(lanes_, level); left += 2) {
        const int to = rank_of_lane(lanes_, ranks_->size(), left << level);
        const int from = rank_of_lane(lanes_, ranks_->size(), (left + 1) << level);
        if (to == from) continue;  // added by `push`, or by `lift` below
        if (ranks_->rank() == from) {
          const auto right = stack_.position({level, left + 1});
          send_parts(*ranks_, parts_of(stack_.nodes()[right].second), to);
          stack_.remove(right);
        } else if (ranks_->rank() == to) {
          const auto at = stack_.position({level, left});
          receive_and_add(*ranks_, parts_of(stack_.nodes()[at].second), from);
          stack_.grow(at);
          stack_.lift(at);
        }
      }
  }

  const Communicator* ranks_;
  Index lanes_;
  LaneStack<Sums> stack_;
};

}  // namespace constrictor::comm
