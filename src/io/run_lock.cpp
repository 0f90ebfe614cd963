// SPDX-License-Identifier: Apache-2.0
#include "io/run_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "core/timer.hpp"
#include "io/atomic_file.hpp"
#include "io/descriptor.hpp"
#include "io/process_facts.hpp"
#include "io/run_log.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;

/// What a lock file says about its holder.
struct Holder {
  std::string host;
  std::int64_t pid = 0;
  std::string process_start;
  std::string since;
  std::string text() const {
    return host.empty() ? "an unknown process (its lock file is not readable)"
                        : "process " + std::to_string(pid) + " on " + host + " since " + since;
  }
};

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<Holder> parse_holder(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  try {
    return Holder{json.at("host").get<std::string>(), json.at("pid").get<std::int64_t>(),
                  json.at("process_start").get<std::string>(), json.at("since").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

/// Ours, unlike any other: two locks of one process differ too.
std::string lock_text() {
  static std::atomic<int> count = 0;
  const nlohmann::ordered_json json = {{"host", host_name()},
                                       {"pid", ::getpid()},
                                       {"process_start", process_start(::getpid())},
                                       {"since", now_utc()},
                                       {"number", count++}};
  return json.dump() + "\n";
}

/// Modification time of the file as the file system sees it now: opening makes NFS look.
std::optional<std::pair<std::int64_t, std::int64_t>> time_stamp(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts = {};
  if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) return std::nullopt;
  return std::pair<std::int64_t, std::int64_t>(facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
}

}  // namespace

RunLock::RunLock(const fs::path& folder, std::function<void(const std::string&)> notice,
                 LockTiming timing)
    : path_(folder / "run.lock"), notice_(std::move(notice)), timing_(timing), text_(lock_text()) {
  while (!try_create()) wait_until_free();
  // Signals belong to the main thread, which knows what to do with them.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  heartbeat_ = std::thread([this] { beat(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RunLock::~RunLock() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  heartbeat_.join();
  if (held()) ::unlink(path_.c_str());
}

bool RunLock::held() const { return read_text(path_) == text_; }

/// O_EXCL: of all who try at the same time one succeeds, on every file system we care for.
bool RunLock::try_create() {
  const Descriptor file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0 && errno == EEXIST) return false;
  if (file.get() < 0) raise_file_system_error(path_, "cannot be created");
  const ssize_t written = ::write(file.get(), text_.data(), text_.size());
  if (written == static_cast<ssize_t>(text_.size())) return true;
  const int reason = written < 0 ? errno : ENOSPC;
  ::unlink(path_.c_str());
  errno = reason;
  raise_file_system_error(path_, "cannot be written");
}

/// Returns when the lock may be tried again; throws when its holder lives.
void RunLock::wait_until_free() {
  std::string text = read_text(path_);
  std::optional<Holder> holder = parse_holder(text);
  for (int i = 0; i < 10 && !holder && time_stamp(path_); ++i) {  // just being written
    std::this_thread::sleep_for(Seconds(0.05));
    text = read_text(path_);
    holder = parse_holder(text);
  }
  if (!time_stamp(path_)) return;  // released meanwhile
  const Holder known = holder.value_or(Holder{});
  if (known.host == host_name()) {
    if (!is_alive(known.pid, known.process_start)) return take_over(text, "which is dead");
  } else if (stands_still()) {
    return take_over(text, "which shows no sign of life");
  }
  if (!time_stamp(path_)) return;
  throw UserError(path_.parent_path().string() + ": " + std::string(in_work_words) + known.text() +
                  " (" + path_.string() + ")");
}

/// Watches the holder's heartbeat. A lock that vanishes meanwhile does not stand still.
bool RunLock::stands_still() const {
  if (notice_) notice_(path_.string() + ": watching for signs of life of its holder");
  const auto first = time_stamp(path_);
  for (const double end = wall_seconds() + timing_.watch_seconds; wall_seconds() < end;) {
    std::this_thread::sleep_for(Seconds(timing_.watch_seconds / 60));
    if (time_stamp(path_) != first) return false;
  }
  return first.has_value();
}

/// Moves the stale file away: of several who do so at the same time one succeeds. Whoever moved a
/// lock that somebody took in between (two renames within microseconds) puts it back.
void RunLock::take_over(const std::string& stale_text, const std::string& why) {
  if (read_text(path_) != stale_text) return;  // another was faster
  const fs::path aside(path_.string() + ".stale." + host_name() + "." + std::to_string(::getpid()));
  if (::rename(path_.c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT) return;
    raise_file_system_error(path_, "cannot be taken over");
  }
  const bool right_one = read_text(aside) == stale_text;
  if (!right_one && ::link(aside.c_str(), path_.c_str()) != 0 && errno != EEXIST)
    raise_file_system_error(path_, "cannot be taken over");
  ::unlink(aside.c_str());
  if (right_one && notice_) {
    const std::string holder = parse_holder(stale_text).value_or(Holder{}).text();
    notice_(path_.string() + ": taken over from " + holder + ", " + why);
  }
}

std::string holder_on_this_host(const fs::path& folder) {
  const auto holder = parse_holder(read_text(folder / "run.lock"));
  if (!holder || holder->host != host_name()) return "";
  return is_alive(holder->pid, holder->process_start) ? holder->text() : "";
}

void RunLock::beat() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, Seconds(timing_.heartbeat_seconds), [this] { return stopping_; }))
    if (held()) ::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
}

}  // namespace constrictor::io
