// SPDX-License-Identifier: Apache-2.0
#include "core/memory.hpp"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

namespace constrictor {

namespace {

constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

/// The first number of a file; `otherwise` when there is none ("max", or no such file).
std::int64_t number_in(const std::string& path, std::int64_t otherwise) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : otherwise;
}

/// The value of a line "key value" ("MemAvailable:   123 kB"); 0 when it is missing.
std::int64_t value_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return 0;
}

struct GroupFiles {
  std::string limit, usage, cache;  // cache: the key in memory.stat of pages that can be dropped
};

/// The tightest of a group and its parents, up to the root of the hierarchy.
std::int64_t left_in_hierarchy(const std::string& root, std::string group,
                               const GroupFiles& files) {
  std::int64_t left = unlimited;
  for (;;) {
    const std::string folder = root + group + "/";
    const std::int64_t limit = number_in(folder + files.limit, unlimited);
    if (limit < unlimited) {
      const std::int64_t used =
          number_in(folder + files.usage, 0) - value_of(folder + "memory.stat", files.cache);
      left = std::min(left, std::max<std::int64_t>(0, limit - std::max<std::int64_t>(0, used)));
    }
    if (group.empty() || group == "/") return left;
    group.erase(group.rfind('/'));
  }
}

}  // namespace

namespace detail {

std::int64_t memory_left_by_control_groups(const std::string& root, const std::string& membership) {
  std::int64_t left = unlimited;
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {  // "4:memory:/job_7" or "0::/job_7"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,")
      left = std::min(
          left, left_in_hierarchy(root, group, {"memory.max", "memory.current", "inactive_file"}));
    if (controllers.find(",memory,") != std::string::npos)
      left = std::min(left, left_in_hierarchy(root + "/memory", group,
                                              {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                               "total_inactive_file"}));
  }
  return left;
}

}  // namespace detail

std::int64_t available_memory() {
  const std::int64_t of_node = value_of("/proc/meminfo", "MemAvailable:") * 1024;
  return std::min(of_node,
                  detail::memory_left_by_control_groups("/sys/fs/cgroup", "/proc/self/cgroup"));
}

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);  // the arenas of other threads would give their memory back
  mallopt(M_MMAP_THRESHOLD, kept_below);  // the most that glibc allows
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

std::int64_t peak_memory() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

std::string bytes_text(double bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  std::array<char, 32> text = {};
  std::snprintf(text.data(), text.size(), unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes,
                units[unit]);
  return text.data();
}

}  // namespace constrictor
