// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whether the other ranks of this node still live, without asking them: a device that waits for a
// dead rank waits for ever, and not every launcher ends a job when one of its processes dies.
#include <optional>
#include <vector>

#include "comm/communicator.hpp"

namespace constrictor::comm {

class RankWatch {
 public:
  /// Collective.
  explicit RankWatch(const Communicator& ranks);

  /// The lowest rank of this node whose process has ended. Ranks in other containers (process
  /// number spaces) cannot be seen and count as alive.
  std::optional<int> lost() const;

 private:
  struct Mate {
    int rank;
    int process;
  };
  std::vector<Mate> mates_;
};

namespace detail {
/// True when there is no such process, or only what its parent has not yet collected.
bool has_ended(int process);
}  // namespace detail

}  // namespace constrictor::comm
