// SPDX-License-Identifier: Apache-2.0
#include "io/claim.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/descriptor.hpp"
#include "io/process_facts.hpp"
#include "io/run_log.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

double seconds_of(const timespec& time) {
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Unlike that of any other process or thread.
std::string unique_suffix() {
  static std::atomic<int> count = 0;
  return "." + host_name() + "." + std::to_string(::getpid()) + "." + std::to_string(count++);
}

std::string slurm_job() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string array = variable("SLURM_ARRAY_JOB_ID");
  return array.empty() ? variable("SLURM_JOB_ID") : array + "_" + variable("SLURM_ARRAY_TASK_ID");
}

void write_all(const fs::path& path, const std::string& text, int flags) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666));
  if (file.get() < 0) raise_file_system_error(path, "cannot be created");
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return;
  const int reason = written < 0 ? errno : ENOSPC;
  ::unlink(path.c_str());
  errno = reason;
  raise_file_system_error(path, "cannot be written");
}

/// True when `path` came into being now, with this text; false when it was there already.
bool create_once(const fs::path& path, const std::string& text) {
  const fs::path draft(path.string() + unique_suffix());
  write_all(draft, text, O_EXCL);
  const bool linked = ::link(draft.c_str(), path.c_str()) == 0;
  const int reason = linked ? 0 : errno;
  struct stat facts = {};
  // A network file system may report a failure although its answer got lost after a success.
  const bool ours = linked || (::stat(draft.c_str(), &facts) == 0 && facts.st_nlink == 2);
  ::unlink(draft.c_str());
  if (ours || reason == EEXIST) return ours;
  if (reason == EPERM || reason == ENOTSUP || reason == ENOSYS || reason == EMLINK) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.get() < 0 && errno == EEXIST) return false;
    if (file.get() < 0) raise_file_system_error(path, "cannot be created");
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      raise_file_system_error(path, "cannot be written");
    return true;
  }
  errno = reason;
  raise_file_system_error(path, "cannot be created");
}

}  // namespace

void write_text_shared(const fs::path& path, const std::string& text) {
  const fs::path draft(path.string() + unique_suffix() + ".partial");
  write_all(draft, text, O_EXCL);
  if (::rename(draft.c_str(), path.c_str()) == 0) return;
  const int reason = errno;
  ::unlink(draft.c_str());
  errno = reason;
  raise_file_system_error(path, "cannot be written");
}

std::string ClaimSeen::holder() const {
  if (host.empty()) return "an unknown process (its claim is not readable)";
  return "process " + std::to_string(pid) + " on " + host + (job.empty() ? "" : ", job " + job);
}

fs::path ClaimFolder::file_of(const std::string& run, int generation) const {
  return folder_ / (run + "." + std::to_string(generation));
}

double ClaimFolder::now() const {
  const fs::path probe = folder_ / ("now" + unique_suffix());
  const Descriptor file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  struct stat facts = {};
  const bool known =
      file.get() >= 0 && ::futimens(file.get(), nullptr) == 0 && ::fstat(file.get(), &facts) == 0;
  ::unlink(probe.c_str());
  if (known) return seconds_of(facts.st_mtim);
  timespec time = {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return seconds_of(time);
}

ClaimSeen ClaimFolder::look_at(const std::string& run, int generation, double now) const {
  ClaimSeen claim;
  claim.run = run;
  claim.generation = generation;
  // Opening makes a network file system look.
  const Descriptor file(::open(file_of(run, generation).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts = {};
  if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) {
    claim.released = errno == ENOENT;  // removed meanwhile: the run is finished
    claim.alive = !claim.released;     // what cannot be read is left alone
    return claim;
  }
  std::string text(2048, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  try {
    claim.pid = json.at("pid").get<std::int64_t>();
    claim.process_start = json.at("process_start").get<std::string>();
    claim.job = json.at("job").get<std::string>();
    claim.since = json.at("since").get<std::string>();
    claim.host = json.at("host").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    claim.host.clear();
  }
  claim.released = facts.st_mtim.tv_sec == 0;
  claim.age_seconds = now - seconds_of(facts.st_mtim);
  const bool fresh = claim.age_seconds <= timing_.dead_after_seconds;
  const bool here = claim.host == host_name();
  claim.alive = !claim.released && (here ? is_alive(claim.pid, claim.process_start) : fresh);
  return claim;
}

std::vector<ClaimSeen> ClaimFolder::seen() const {
  std::map<std::string, int> latest;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, ignored)) {
    const std::string name = entry.path().filename().string();
    const auto dot = name.find('.');
    const std::string number = dot == std::string::npos ? "" : name.substr(dot + 1);
    if (number.empty() || number.size() > 9 ||
        number.find_first_not_of("0123456789") != std::string::npos)
      continue;  // a draft
    int& generation = latest[name.substr(0, dot)];
    generation = std::max(generation, std::stoi(number));
  }
  std::vector<ClaimSeen> claims;
  const double time = latest.empty() ? 0 : now();
  for (const auto& [run, generation] : latest) claims.push_back(look_at(run, generation, time));
  return claims;
}

std::optional<ClaimSeen> ClaimFolder::seen(const std::string& run) const {
  int generation = 0;  // they follow one another without gaps
  struct stat facts = {};
  while (::stat(file_of(run, generation + 1).c_str(), &facts) == 0) ++generation;
  if (generation == 0) return std::nullopt;
  return look_at(run, generation, now());
}

Claim::Claim(const ClaimFolder& folder, std::string run, int generation,
             std::string taken_over_from)
    : folder_(&folder),
      run_(std::move(run)),
      generation_(generation),
      taken_over_from_(std::move(taken_over_from)) {}

std::optional<Claim> Claim::take(const ClaimFolder& folder, const std::string& run) {
  const auto last = folder.seen(run);
  if (last && last->alive) return std::nullopt;
  const int generation = last ? last->generation + 1 : 1;
  const fs::path path = folder.file_of(run, generation);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error)
    throw FileSystemError(path.parent_path().string() + ": cannot be created: " + error.message());
  const nlohmann::ordered_json json = {{"host", host_name()},
                                       {"pid", ::getpid()},
                                       {"process_start", process_start(::getpid())},
                                       {"job", slurm_job()},
                                       {"since", now_utc()}};
  if (!create_once(path, json.dump() + "\n")) return std::nullopt;
  return Claim(folder, run, generation, last && !last->released ? last->holder() : "");
}

Claim::Claim(Claim&& other) noexcept
    : folder_(other.folder_),
      run_(std::move(other.run_)),
      generation_(std::exchange(other.generation_, 0)),
      taken_over_from_(std::move(other.taken_over_from_)) {}

Claim& Claim::operator=(Claim&& other) noexcept {
  if (this == &other) return *this;
  release();
  folder_ = other.folder_;
  run_ = std::move(other.run_);
  generation_ = std::exchange(other.generation_, 0);
  taken_over_from_ = std::move(other.taken_over_from_);
  return *this;
}

Claim::~Claim() { release(); }

void Claim::beat() const noexcept {
  if (generation_ > 0)
    ::utimensat(AT_FDCWD, folder_->file_of(run_, generation_).c_str(), nullptr, 0);
}

bool Claim::held() const {
  struct stat facts = {};
  return generation_ > 0 && ::stat(folder_->file_of(run_, generation_).c_str(), &facts) == 0 &&
         ::stat(folder_->file_of(run_, generation_ + 1).c_str(), &facts) != 0;
}

/// A time stamp needs no room on a full disk.
void Claim::release() noexcept {
  if (generation_ == 0) return;
  const timespec never[2] = {{0, 0}, {0, 0}};
  ::utimensat(AT_FDCWD, folder_->file_of(run_, generation_).c_str(), never, 0);
  generation_ = 0;
}

void Claim::remove_all() noexcept {
  if (generation_ == 0 || !held()) return release();
  for (int generation = generation_; generation > 0; --generation)
    ::unlink(folder_->file_of(run_, generation).c_str());
  generation_ = 0;
}

}  // namespace constrictor::io
