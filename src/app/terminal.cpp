// SPDX-License-Identifier: Apache-2.0
#include "app/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace constrictor::app {

namespace {

/// The value of a line "Key:   value" of /proc/<process>/status.
std::string status_of(const std::string& process, const std::string& key) {
  std::ifstream file("/proc/" + process + "/status");
  for (std::string word, value; file >> word; std::getline(file, value))
    if (word == key && file >> value) return value;
  return "";
}

/// Number of the mpirun above this process on this node; "" when there is none.
std::string launcher() {
  std::string process = std::to_string(getppid());
  for (int step = 0; step < 4 && process != "0" && !process.empty(); ++step) {
    const std::string name = status_of(process, "Name:");
    for (const char* known : {"mpirun", "mpiexec", "orterun", "prterun", "orted", "prted"})
      if (name == known) return process;
    process = status_of(process, "PPid:");
  }
  return "";
}

}  // namespace

bool stdout_is_terminal() {
  if (isatty(STDOUT_FILENO) == 0) return false;
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return true;
  std::error_code failed;
  const auto stdout_of_launcher =
      std::filesystem::read_symlink("/proc/" + launcher() + "/fd/1", failed).string();
  const bool terminal =
      stdout_of_launcher.rfind("/dev/pts/", 0) == 0 || stdout_of_launcher.rfind("/dev/tty", 0) == 0;
  return !failed && terminal;
}

std::size_t terminal_columns() {
  winsize size = {};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace constrictor::app
