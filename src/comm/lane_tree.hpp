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

#include "comm/sum_parts.hpp"

namespace constrictor::comm {

/// Lanes [first, last).
struct LaneRange {
  Index first = 0;
  Index last = 0;
  Index size() const { return last - first; }
  bool operator==(const LaneRange&) const = default;
};

/// Contiguous runs whose lengths differ by one at most, longer ones first: rank 0 is never without.
LaneRange lanes_of_rank(Index lanes, int ranks, int rank);
int rank_of_lane(Index lanes, int ranks, Index lane);

/// Sets of sums that a rank holds at most while its lanes come in, the lane in work included.
Index most_sums_alive(Index lanes, LaneRange mine);

/// A node of the tree.
struct LaneNode {
  int level = 0;
  Index index = 0;
  bool operator==(const LaneNode&) const = default;
};
/// Levels above the leaves: the smallest h with 2^h >= lanes.
int tree_height(Index lanes);
Index nodes_on_level(Index lanes, int level);
/// Passes a node without right sibling up as far as it goes.
LaneNode passed_through(Index lanes, LaneNode node);

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
  /// `make` allocates one set, whatever it holds. `ranks` must outlive the tree.
  LaneTree(const Communicator& ranks, Index lanes, std::function<Sums()> make)
      : ranks_(&ranks),
        lanes_(lanes),
        mine_(lanes_of_rank(lanes, ranks.size(), ranks.rank())),
        next_(mine_.first),
        make_(std::move(make)) {}

  LaneRange mine() const { return mine_; }

  /// A set of sums for the next lane, holding anything: memory of sums already added is used again.
  Sums blank() {
    if (!spare_) return make_();
    Sums sums = std::move(*spare_);
    spare_.reset();
    return sums;
  }
  /// The same, all zero.
  Sums zeros() {
    Sums sums = blank();
    set_zero(parts_of(sums));
    return sums;
  }

  /// The sums of my next lane; lanes come in ascending order.
  void push(Sums sums) {
    CONSTRICTOR_REQUIRE(next_ < mine_.last, next_, mine_.last);
    LaneNode node = passed_through(lanes_, {0, next_++});
    // A stack as in binary counting: its top is the left sibling, or the new node has to wait.
    while (!stack_.empty() && stack_.back().first.level == node.level &&
           stack_.back().first.index + 1 == node.index && node.index % 2 == 1) {
      Sums left = std::move(stack_.back().second);
      stack_.pop_back();
      add(parts_of(left), parts_of(sums));
      spare_.emplace(std::move(sums));
      sums = std::move(left);
      node = passed_through(lanes_, {node.level + 1, node.index / 2});
    }
    stack_.emplace_back(node, std::move(sums));
  }

  /// Collective. The sum over all lanes, at `root` only. Every rank must have pushed all its lanes.
  std::optional<Sums> finish(int root = 0) {
    merge_over_ranks();
    if (root != 0) {
      if (ranks_->rank() == 0) send_parts(*ranks_, parts_of(stack_.front().second), root);
      if (ranks_->rank() == root) {
        Sums total = blank();
        receive_parts(*ranks_, parts_of(total), 0);
        stack_.clear();
        return total;
      }
    }
    std::optional<Sums> total;
    if (ranks_->rank() == root) total.emplace(std::move(stack_.front().second));
    stack_.clear();
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
    CONSTRICTOR_REQUIRE(next_ == mine_.last, next_, mine_.last);
    for (int level = 0; level < tree_height(lanes_); ++level)
      for (Index left = 0; left + 1 < nodes_on_level(lanes_, level); left += 2) {
        const int to = rank_of_lane(lanes_, ranks_->size(), left << level);
        const int from = rank_of_lane(lanes_, ranks_->size(), (left + 1) << level);
        if (to == from) continue;  // added by `push`, or in `lift` below
        if (ranks_->rank() == from) {
          const auto right = position({level, left + 1});
          send_parts(*ranks_, parts_of(stack_[right].second), to);
          spare_.emplace(std::move(stack_[right].second));
          stack_.erase(stack_.begin() + static_cast<std::ptrdiff_t>(right));
        } else if (ranks_->rank() == to) {
          const auto at = position({level, left});
          receive_and_add(*ranks_, parts_of(stack_[at].second), from);
          stack_[at].first = passed_through(lanes_, {level + 1, left / 2});
          lift(at);
        }
      }
  }

  /// A node grown by remote sums may now have its sibling on this rank.
  void lift(std::size_t at) {
    while (at > 0 && stack_[at].first.index % 2 == 1 &&
           stack_[at - 1].first.level == stack_[at].first.level &&
           stack_[at - 1].first.index + 1 == stack_[at].first.index) {
      add(parts_of(stack_[at - 1].second), parts_of(stack_[at].second));
      spare_.emplace(std::move(stack_[at].second));
      stack_.erase(stack_.begin() + static_cast<std::ptrdiff_t>(at));
      --at;
      const LaneNode child = stack_[at].first;
      stack_[at].first = passed_through(lanes_, {child.level + 1, child.index / 2});
    }
  }

  std::size_t position(LaneNode node) const {
    for (std::size_t i = 0; i < stack_.size(); ++i)
      if (stack_[i].first == node) return i;
    throw Bug("a node of the lane tree is not where it should be");
  }

  const Communicator* ranks_;
  Index lanes_;
  LaneRange mine_;
  Index next_;  // the lane that `push` expects
  std::function<Sums()> make_;
  std::vector<std::pair<LaneNode, Sums>> stack_;  // complete nodes, ascending lanes
  std::optional<Sums> spare_;
};

}  // namespace constrictor::comm
