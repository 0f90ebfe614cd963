// SPDX-License-Identifier: Apache-2.0
#pragma once
// The part of the lane tree (lane_tree.hpp) that lies on one rank: lanes come in ascending order,
// finished siblings are added at once, so that about log2(lanes) sets of sums are alive. Knows
// nothing of where the sums live.

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::comm {

/// Lanes [first, last).
struct LaneRange {
  Index first = 0;
  Index last = 0;
  Index size() const { return last - first; }
  bool operator==(const LaneRange&) const = default;
};

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

template <class Sums>
class LaneStack {
 public:
  using Node = std::pair<LaneNode, Sums>;

  /// `make` allocates one set, whatever it holds; `add(left, right)` does left <- left + right.
  LaneStack(Index lanes, LaneRange mine, std::function<Sums()> make,
            std::function<void(Sums&, Sums&)> add)
      : lanes_(lanes),
        mine_(mine),
        next_(mine.first),
        make_(std::move(make)),
        add_(std::move(add)) {}

  LaneRange mine() const { return mine_; }
  bool complete() const { return next_ == mine_.last; }

  /// A set of sums holding anything: memory of sums already added is used again.
  Sums blank() {
    if (!spare_) return make_();
    Sums sums = std::move(*spare_);
    spare_.reset();
    return sums;
  }

  /// The sums of my next lane.
  void push(Sums sums) {
    CONSTRICTOR_REQUIRE(next_ < mine_.last, next_, mine_.last);
    // As in binary counting: the top is the left sibling, or the new node has to wait.
    nodes_.emplace_back(passed_through(lanes_, {0, next_++}), std::move(sums));
    lift(nodes_.size() - 1);
  }

  /// All lanes at once as the complete nodes that another stack made of them.
  void adopt(std::vector<Node> nodes) {
    CONSTRICTOR_REQUIRE(nodes_.empty() && next_ == mine_.first, next_, mine_.first);
    nodes_ = std::move(nodes);
    next_ = mine_.last;
  }

  /// A node that has grown may now have its sibling below it on the stack.
  void lift(std::size_t at) {
    while (at > 0 && nodes_[at].first.index % 2 == 1 &&
           nodes_[at - 1].first.level == nodes_[at].first.level &&
           nodes_[at - 1].first.index + 1 == nodes_[at].first.index) {
      add_(nodes_[at - 1].second, nodes_[at].second);
      remove(at--);
      grow(at);
    }
  }
  /// The node at this place now holds its sibling too.
  void grow(std::size_t at) {
    const LaneNode child = nodes_[at].first;
    nodes_[at].first = passed_through(lanes_, {child.level + 1, child.index / 2});
  }
  /// Takes a node out; its memory is used again.
  void remove(std::size_t at) {
    spare_.emplace(std::move(nodes_[at].second));
    nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::size_t position(LaneNode node) const {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].first == node) return i;
    throw Bug("a node of the lane tree is not where it should be");
  }
  std::vector<Node>& nodes() { return nodes_; }  // complete ones, ascending lanes

 private:
  Index lanes_;
  LaneRange mine_;
  Index next_;  // the lane that `push` expects
  std::function<Sums()> make_;
  std::function<void(Sums&, Sums&)> add_;
  std::vector<Node> nodes_;
  std::optional<Sums> spare_;
};

}  // namespace constrictor::comm
