// SPDX-License-Identifier: Apache-2.0
#include "campaign/sweep_child.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "config/resolved_text.hpp"
#include "core/error.hpp"
#include "core/timer.hpp"
#include "io/run_log.hpp"

namespace constrictor::campaign {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::vector<std::string> command(const SweepRun& run, const SweepOptions& options, int slot) {
  std::vector<std::string> words;
  const std::string ranks = std::to_string(options.ranks);
  if (!options.launcher.empty()) {
    for (std::string word : words_of(options.launcher)) {
      if (const auto at = word.find("{ranks}"); at != std::string::npos)
        word.replace(at, std::strlen("{ranks}"), ranks);
      words.push_back(std::move(word));
    }
  } else if (options.ranks > 1) {
    words = {"mpirun", "--bind-to", "none", "-np", ranks};
  }
  for (const std::string& word : {options.program, std::string("quantize"),
                                  run.folder + "/deck.yaml", std::string("--run-dir"), run.folder})
    words.push_back(word);
  // Ranks count the devices of their node from the first, each run for itself.
  if (run.spec.run.device == "cuda" && options.jobs > 1) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    const std::string devices =
        devices_of_slot(visible == nullptr ? "" : visible, slot, options.ranks);
    words.insert(words.begin(), {"env", "CUDA_VISIBLE_DEVICES=" + devices});
  }
  return words;
}

/// Makes the run's folder with the deck in it and returns the path of its output.
std::string prepared(const SweepRun& run) {
  std::error_code error;
  fs::create_directories(run.folder, error);
  if (error) throw FileSystemError(run.folder + ": cannot be created: " + error.message());
  io::write_text_shared(fs::path(run.folder) / "deck.yaml", config::resolved_text(run.spec));
  return run.folder + "/output.txt";
}

void record(const SweepRun& run, const std::string& word, const std::string& words) {
  const fs::path path = fs::path(run.folder) / "state.json";
  io::RunState state;
  try {
    state = io::read_state(path);
  } catch (const UserError& error) {
    if (std::strstr(error.what(), "is of schema") != nullptr) return;  // not ours to change
  }
  state.state = word;
  state.words = words;
  io::write_state(path, state);
}

}  // namespace

SweepChild::SweepChild(const SweepRun& run, std::size_t number, int slot, io::Claim claim,
                       const SweepOptions& options, const std::vector<int>& cores)
    : output_(prepared(run)),
      number_(number),
      slot_(slot),
      claim_(std::move(claim)),
      start_(wall_seconds()),
      process_(command(run, options, slot), output_, cores) {}

double SweepChild::seconds() const { return wall_seconds() - start_; }

std::string SweepChild::sentence() const {
  std::istringstream output(process_.last_output());
  const std::string mark = "constrictor: ";
  std::string last;
  for (std::string line; std::getline(output, line);)
    if (line.rfind(mark, 0) == 0) last = line.substr(mark.size());
  return last;
}

std::string SweepChild::last_words(const Ending& ending) const {
  if (const std::string said = sentence(); !said.empty()) return said;
  const std::string place = " (" + output_ + ")";
  if (ending.signal == 9) return "killed by signal 9, as when memory runs out" + place;
  if (ending.signal != 0)
    return "ended by signal " + std::to_string(ending.signal) + " (" + ::strsignal(ending.signal) +
           ")" + place;
  return "ended with exit code " + std::to_string(ending.exit_code) + place;
}

std::vector<int> cores_of_slot(const std::vector<int>& cores, int slot, int jobs) {
  const auto count = static_cast<int>(cores.size());
  if (jobs <= 1) return {};
  if (count < jobs) return {cores[static_cast<std::size_t>(slot % count)]};
  const int first = slot * count / jobs, end = (slot + 1) * count / jobs;
  return {cores.begin() + first, cores.begin() + end};
}

std::string devices_of_slot(const std::string& visible, int slot, int ranks) {
  std::vector<std::string> known;
  std::istringstream stream(visible);
  for (std::string device; std::getline(stream, device, ',');) known.push_back(device);
  std::string devices;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto number = static_cast<std::size_t>(slot * ranks + rank);
    devices += (rank > 0 ? "," : "") +
               (known.empty() ? std::to_string(number) : known[number % known.size()]);
  }
  return devices;
}

void record_failure(const SweepRun& run, const std::string& words) { record(run, "failed", words); }
void record_waiting(const SweepRun& run, const std::string& words) {
  record(run, "waiting", words);
}

}  // namespace constrictor::campaign
