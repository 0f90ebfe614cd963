// SPDX-License-Identifier: Apache-2.0
#include "io/process_facts.hpp"

#include <signal.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>

namespace constrictor::io {

std::string process_start(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // "pid (name) state ..."; the name may hold spaces and brackets. State is field 3, start
  // field 22.
  const auto bracket = text.rfind(')');
  if (bracket == std::string::npos) return "";
  std::istringstream fields(text.substr(bracket + 1));
  std::string field, state;
  fields >> state;
  for (int number = 4; number <= 22; ++number) fields >> field;
  return fields && state != "Z" && state != "X" ? field : "";
}

bool is_alive(std::int64_t pid, const std::string& start) {
  if (pid <= 0) return false;
  const bool others = ::kill(static_cast<pid_t>(pid), 0) != 0;
  if (others && errno != EPERM) return false;
  const std::string found = process_start(pid);
  // Some machines hide the processes of other users: what cannot be told apart counts as alive.
  return found == start || (others && found.empty());
}

}  // namespace constrictor::io
