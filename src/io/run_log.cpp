// SPDX-License-Identifier: Apache-2.0
#include "io/run_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/json_section.hpp"

namespace constrictor::io {
namespace {

/// Text that is no UTF-8 (a path, a library's message) must not end a run.
constexpr auto replace_bad_text = nlohmann::json::error_handler_t::replace;

constexpr int state_schema = 1;

}  // namespace

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), length};
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

RunLog::RunLog(const std::filesystem::path& path)
    : path_(path), file_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (file_.get() < 0) raise_file_system_error(path_, "cannot be written");
  const off_t size = ::lseek(file_.get(), 0, SEEK_END);
  char last = '\n';
  if (size > 0 && ::pread(file_.get(), &last, 1, size - 1) == 1 && last != '\n') append("\n");
}

void RunLog::add(std::string_view event, const Facts& facts) {
  nlohmann::ordered_json line = {{"time", now_utc()}, {"event", event}};
  for (const auto& [name, fact] : facts)
    std::visit([&, key = name](const auto& value) { line[key] = value; }, fact);
  append(line.dump(-1, ' ', false, replace_bad_text) + "\n");
}

void RunLog::append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) raise_file_system_error(path_, "cannot be written");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void write_state(const std::filesystem::path& path, RunState state) {
  if (state.host.empty()) state.host = host_name();
  if (state.pid == 0) state.pid = ::getpid();
  const nlohmann::ordered_json json = {{"schema", state_schema},
                                       {"state", state.state},
                                       {"blocks_done", state.blocks_done},
                                       {"blocks", state.blocks},
                                       {"eta_seconds", state.eta_seconds},
                                       {"host", state.host},
                                       {"pid", state.pid},
                                       {"updated", now_utc()},
                                       {"words", state.words},
                                       {"seconds", state.seconds},
                                       {"rank_seconds", state.rank_seconds},
                                       {"core_seconds", state.core_seconds},
                                       {"ranks", state.ranks},
                                       {"threads", state.threads},
                                       {"peak_memory_bytes", state.peak_memory_bytes},
                                       {"disk_bytes", state.disk_bytes}};
  write_text_atomically(path, json.dump(2, ' ', false, replace_bad_text) + "\n");
}

RunState read_state(const std::filesystem::path& path) {
  try {
    const nlohmann::json json = read_json(path);
    if (json.at("schema") != state_schema)
      throw UserError(path.string() + ": is of schema " + json.at("schema").dump() +
                      ", this version reads " + std::to_string(state_schema));
    RunState state;
    state.state = json.at("state").get<std::string>();
    state.blocks_done = json.at("blocks_done").get<Index>();
    state.blocks = json.at("blocks").get<Index>();
    const nlohmann::json& eta = json.at("eta_seconds");
    state.eta_seconds = eta.is_number() ? eta.get<double>() : 0;  // null stands for NaN
    state.host = json.at("host").get<std::string>();
    state.pid = json.at("pid").get<std::int64_t>();
    state.updated = json.at("updated").get<std::string>();
    // Runs of earlier versions do not have these.
    state.words = json.value("words", "");
    const auto number = [&](const char* key) {
      const auto found = json.find(key);
      return found != json.end() && found->is_number() ? found->get<double>() : 0;
    };
    state.seconds = number("seconds");
    state.rank_seconds = number("rank_seconds");
    state.core_seconds = number("core_seconds");
    state.ranks = static_cast<std::int64_t>(number("ranks"));
    state.threads = static_cast<std::int64_t>(number("threads"));
    state.peak_memory_bytes = static_cast<std::int64_t>(number("peak_memory_bytes"));
    state.disk_bytes = static_cast<std::int64_t>(number("disk_bytes"));
    return state;
  } catch (const nlohmann::json::exception&) {
    throw UserError(path.string() + ": is no state file of this program");
  }
}

}  // namespace constrictor::io
