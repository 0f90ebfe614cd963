// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who works on which run of a sweep. A claim is a file <folder>/<run>.<generation> that says whose
// it is; its time stamp is the holder's heartbeat, the year 1970 says that it was released. The
// highest generation counts.
//
//   - A generation comes into being once, with its text, by link(2): of all who try, one succeeds.
//   - Whoever takes a run over from a dead holder, or after it was released, makes the next
//     generation. Nothing is renamed or removed, so there is no moment at which two could hold a
//     run; a holder that was thought dead sees the next generation and knows that it has lost.
//   - A holder is dead when its process is gone (same host), or when its heartbeat is older than
//     `dead_after_seconds`. Age is measured by the file system alone: a file is touched, its time
//     stamp is "now". Clocks of hosts are never compared.
//
// The claims of a finished run are removed: its state.json says all, and whoever takes a claim
// looks there once more. What protects the results themselves is the lock in the run folder
// (run_lock.hpp), which every process that writes a run takes.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace constrictor::io {

struct ClaimTiming {
  double heartbeat_seconds = 10;
  double dead_after_seconds = 180;
};

/// A claim as others see it. One whose file is empty or unreadable has no host: age alone decides.
struct ClaimSeen {
  std::string run;
  int generation = 0;
  std::string host;
  std::int64_t pid = 0;
  std::string process_start;
  std::string job;  // Slurm's number, "" without
  std::string since;
  bool released = false;
  bool alive = false;          // somebody works on the run
  double age_seconds = 0;      // of the last heartbeat
  std::string holder() const;  // "process 17 on n3, job 4711_2"
};

/// The claims of a sweep, in a folder that all workers share.
class ClaimFolder {
 public:
  explicit ClaimFolder(std::filesystem::path folder, ClaimTiming timing = {})
      : folder_(std::move(folder)), timing_(timing) {}

  /// The claim that counts, of every run that has one; no folder is no claim. Reads one listing and
  /// one small file a claim.
  std::vector<ClaimSeen> seen() const;
  std::optional<ClaimSeen> seen(const std::string& run) const;
  const ClaimTiming& timing() const { return timing_; }
  std::filesystem::path file_of(const std::string& run, int generation) const;

 private:
  ClaimSeen look_at(const std::string& run, int generation, double now) const;
  /// The file system's clock, seconds; where nothing can be touched, this host's.
  double now() const;
  std::filesystem::path folder_;
  ClaimTiming timing_;
};

/// A claim of this process, released when it is destroyed.
class Claim {
 public:
  /// Nothing when another, living process has the run. Creates the folder when it is missing;
  /// FileSystemError when the claim cannot be written.
  static std::optional<Claim> take(const ClaimFolder& folder, const std::string& run);
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&& other) noexcept;
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim();

  /// Whose claim this one replaces when that holder died; "" otherwise.
  const std::string& taken_over_from() const { return taken_over_from_; }
  /// Shows that the holder lives; to be called every heartbeat_seconds.
  void beat() const noexcept;
  /// False once another one has taken the run over.
  bool held() const;
  /// Others may have the run.
  void release() noexcept;
  /// The run is finished: its claims are removed.
  void remove_all() noexcept;

 private:
  Claim(const ClaimFolder& folder, std::string run, int generation, std::string taken_over_from);
  const ClaimFolder* folder_;
  std::string run_;
  int generation_ = 0;  // 0: nothing is held
  std::string taken_over_from_;
};

/// Writes a name that nobody else uses and renames it to `path`: many processes may write the same
/// file at the same time, and one of them wins as a whole. FileSystemError as for
/// write_text_atomically, which is for one writer.
void write_text_shared(const std::filesystem::path& path, const std::string& text);

}  // namespace constrictor::io
