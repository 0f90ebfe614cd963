// SPDX-License-Identifier: Apache-2.0
#pragma once
// One process a run folder. The holder keeps `run.lock` and touches it every few seconds; a holder
// that died without removing it is recognised, on the same host at once, from another one by a time
// stamp that no longer moves. Clocks of different hosts are never compared.

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace constrictor::io {

struct LockTiming {
  double heartbeat_seconds = 5;
  double watch_seconds = 15;  // how long a lock of another host must stand still to count as dead
};

/// In the sentence of the UserError that tells of another holder.
inline constexpr std::string_view in_work_words = "this run is already in work by ";

class RunLock {
 public:
  /// Takes `folder/run.lock`; UserError naming host and process when another one holds it,
  /// FileSystemError when the folder cannot be written. `notice` is told of a lock that is taken
  /// over.
  explicit RunLock(const std::filesystem::path& folder,
                   std::function<void(const std::string&)> notice = {}, LockTiming timing = {});
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

  /// False once the file is gone or another's: somebody removed it by hand.
  bool held() const;

 private:
  bool try_create();
  void wait_until_free();
  void take_over(const std::string& stale_text, const std::string& why);
  bool stands_still() const;
  void beat();

  std::filesystem::path path_;
  std::function<void(const std::string&)> notice_;
  LockTiming timing_;
  std::string text_;  // what we wrote
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread heartbeat_;
};

/// "process 17 on n3 since ..." when a living process of this host holds the lock of this folder,
/// "" otherwise: then whoever wants the lock should try.
std::string holder_on_this_host(const std::filesystem::path& folder);

}  // namespace constrictor::io
