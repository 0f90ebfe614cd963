// SPDX-License-Identifier: Apache-2.0
#pragma once
// One run of a sweep as a process of its own.

#include <string>
#include <vector>

#include "campaign/sweep_work.hpp"
#include "core/child_process.hpp"
#include "data/sweep.hpp"
#include "io/claim.hpp"

namespace constrictor::campaign {

class SweepChild {
 public:
  /// Writes the run's deck into its folder and starts it on `cores` (all when empty).
  SweepChild(const SweepRun& run, std::size_t number, int slot, io::Claim claim,
             const SweepOptions& options, const std::vector<int>& cores);

  std::size_t number() const { return number_; }  // of the run in its sweep
  int slot() const { return slot_; }              // which share of the cores it has
  double seconds() const;                         // since it started
  io::Claim& claim() { return claim_; }
  std::optional<Ending> ended() { return process_.ended(); }
  void signal(int number) const { process_.signal(number); }
  /// The sentence of the program, without "constrictor: "; "" when it did not come to say one.
  std::string sentence() const;
  /// That, or how the process ended.
  std::string last_words(const Ending& ending) const;

 private:
  std::string output_;
  std::size_t number_;
  int slot_;
  io::Claim claim_;
  double start_;
  ChildProcess process_;
};

/// The cores of slot `slot` of `jobs`; empty (no restriction) for one job, shared where there are
/// fewer cores than jobs.
std::vector<int> cores_of_slot(const std::vector<int>& cores, int slot, int jobs);

/// The devices of slot `slot`, one a rank, among those of `visible` ("0,1,2", what
/// CUDA_VISIBLE_DEVICES says; "" = all of the node): a value for that variable of the run.
std::string devices_of_slot(const std::string& visible, int slot, int ranks);

/// Makes the failure of a run lasting: state.json says "failed" with these words.
void record_failure(const SweepRun& run, const std::string& words);
/// The opposite: whatever state.json says, the run may be taken up again.
void record_waiting(const SweepRun& run, const std::string& words);

}  // namespace constrictor::campaign
