// SPDX-License-Identifier: Apache-2.0
#include "comm/rank_watch.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

namespace constrictor::comm {
namespace {

/// What one rank tells the others about its process.
struct Process {
  int number = 0;
  unsigned long long space = 0;  // of process numbers; 0 = unknown
};

Process this_process() {
  struct stat space {};
  const bool known = stat("/proc/self/ns/pid", &space) == 0;
  return {static_cast<int>(getpid()), known ? space.st_ino : 0};
}

}  // namespace

bool detail::has_ended(int process) {
  if (kill(process, 0) != 0) return errno == ESRCH;
  // "4711 (name with ) anything) Z ...": the state stands behind the last parenthesis.
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= line.size()) return false;
  return line[name_end + 2] == 'Z' || line[name_end + 2] == 'X';
}

RankWatch::RankWatch(const Communicator& ranks) {
  const Process me = this_process();
  const auto all = ranks.all_gather(bytes_of(std::span<const Process>(&me, 1)));
  const auto& hosts = ranks.hosts();
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const auto at = static_cast<std::size_t>(rank);
    const Process other = values_of<Process>(all[at]).at(0);
    const bool here = hosts[at] == hosts[static_cast<std::size_t>(ranks.rank())] && me.space != 0 &&
                      other.space == me.space;
    if (here && rank != ranks.rank()) mates_.push_back({rank, other.number});
  }
}

std::optional<int> RankWatch::lost() const {
  for (const Mate& mate : mates_)
    if (detail::has_ended(mate.process)) return mate.rank;
  return std::nullopt;
}

}  // namespace constrictor::comm
