// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is alive when: the memory of one rank, moment by moment.
//
// Freed matrices below `kept_below` stay in the process (core/memory.hpp, keep_freed_memory), in
// the heap of the thread that made them; larger ones go back to the system at once. So the largest
// resident size at a moment is
//
//     what is alive in large matrices  +  for each heap the most that it ever held
//
// and a small model keeps what its fullest moment took, while a large one is what is alive.
// Evaluation comes when all of the walk over blocks is freed: its large matrices go into what the
// heap kept first.

#include <array>
#include <string>
#include <vector>

#include "calib/shard.hpp"
#include "pipeline/block_sizes.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {

/// One row of the memory table of `--dry-run`.
struct MemoryItem {
  std::string what;
  double bytes = 0;
};

/// Whose heap: the main thread's, those of the other OpenMP threads, that of the block reader.
enum class Heap { main, workers, reader };
inline constexpr std::size_t heaps = 3;

/// What is alive at one moment of a run.
class Moment {
 public:
  explicit Moment(std::string moment_name) : name(std::move(moment_name)) {}
  /// `count` matrices of `bytes` each; rows of the table with equal words are added up.
  void add(const std::string& what, Heap heap, double count, double bytes);

  std::string name;
  std::vector<MemoryItem> items;
  std::array<double, heaps> kept{};  // in matrices that stay in their heap when freed
  double returned = 0;               // in matrices that go back to the system
  std::vector<double> large;         // those matrices, one by one
};

/// The moments of the walk over blocks, in order, each at its fullest over all blocks.
/// `shard`: the calibration sequences of the rank; `ranks`: how many there are.
std::vector<Moment> walk_moments(const Job& job, const calib::Shard& shard, int ranks);
/// Evaluation, when the walk is freed; nothing without token files.
Moment evaluation_moment(const Job& job, const calib::Shard& shard, int ranks);

/// Everything a rank holds at its fullest moment.
struct FullestMoment {
  std::string name;
  std::vector<MemoryItem> items;  // the last two: what was freed and is kept, the program itself
  double bytes = 0;
};

FullestMoment fullest_moment(const Job& job, const calib::Shard& shard, int ranks);

}  // namespace constrictor::pipeline
