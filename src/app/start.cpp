// SPDX-License-Identifier: Apache-2.0
#include "app/start.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "campaign/sweep_plan.hpp"
#include "campaign/sweep_work.hpp"
#include "comm/agree.hpp"
#include "config/load_deck.hpp"
#include "config/resolved_text.hpp"
#include "core/child_process.hpp"
#include "core/memory.hpp"
#include "core/stop_flag.hpp"
#include "core/threads.hpp"

namespace constrictor::app {

namespace {

namespace fs = std::filesystem;

void require_run_folder(const std::string& run) {
  std::error_code ignored;
  if (!fs::exists(fs::path(run) / "deck.yaml", ignored))
    throw UserError(run + ": no run folder (deck.yaml is missing)");
}

RunSpec deck_for_evaluation(const CommandLine& line) {
  for (const std::string& assignment : line.overrides) {
    const auto starts_with = [&](const char* prefix) { return assignment.rfind(prefix, 0) == 0; };
    if (!starts_with("evaluation.") && !starts_with("run.") && !starts_with("model.path="))
      throw UserError("--set " + assignment +
                      ": evaluate takes model.path, evaluation.* and run.* only, the rest is "
                      "settled by the run");
  }
  RunSpec run;
  if (line.model.empty()) {
    require_run_folder(line.run_dir);
    run = config::load_deck((fs::path(line.run_dir) / "deck.yaml").string(), line.overrides);
  } else {
    run.model.path = line.model;
    run.calibration.tokens = "none";  // a deck must name one; nobody opens it
    run = config::parse_deck(config::resolved_text(run), "defaults", line.overrides);
  }
  if (line.command == Command::generate) return run;
  if (!line.tokens.empty()) run.evaluation.tokens = line.tokens;
  // Request files are scored instead of the deck's texts, not besides.
  if (!line.requests.empty() && line.tokens.empty()) run.evaluation.tokens.clear();
  if (run.evaluation.tokens.empty() && line.requests.empty())
    throw UserError(
        "nothing to evaluate: evaluation.tokens is empty; name token files with --tokens or "
        "request files with --requests");
  return run;
}

/// Random blocks have no files: quant and run as in a deck that names none.
RunSpec deck_for_bench(const CommandLine& line) {
  for (const std::string& assignment : line.overrides) {
    const auto starts_with = [&](const char* prefix) { return assignment.rfind(prefix, 0) == 0; };
    if (!starts_with("quant.") && !starts_with("run.") && !starts_with("calibration.sequences="))
      throw UserError("--set " + assignment + ": bench takes quant.* and run.* only");
  }
  return config::parse_deck("model: {path: none}\ncalibration: {tokens: none}\n", "bench",
                            line.overrides);
}

RunSpec deck_of(const CommandLine& line) {
  switch (line.command) {
    case Command::evaluate:
      return deck_for_evaluation(line);
    case Command::bench:
      return deck_for_bench(line);
    default:
      return config::load_deck(line.deck, line.overrides);
  }
}

}  // namespace

RunSpec read_deck(const comm::Communicator& ranks, const CommandLine& line) {
  std::string text;
  comm::agree_on_root(ranks, [&] { text = config::resolved_text(deck_of(line)); });
  ranks.broadcast(text);
  RunSpec run = config::parse_deck(text, "the deck of rank 0");
  run.run.run_dir = line.run_dir;
  return run;
}

std::string start_threads(const comm::Communicator& ranks, int wanted) {
  const std::vector<int> mine = usable_cores();
  NodePlace place{0, 0};
  const auto lists = ranks.all_gather(comm::bytes_of(std::span<const int>(mine)));
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const auto at = static_cast<std::size_t>(rank);
    if (ranks.hosts()[at] != ranks.hosts()[static_cast<std::size_t>(ranks.rank())]) continue;
    const std::vector<int> theirs = comm::values_of<int>(lists[at]);
    if (std::find_first_of(mine.begin(), mine.end(), theirs.begin(), theirs.end()) == mine.end())
      continue;
    if (rank < ranks.rank()) ++place.number;
    ++place.ranks;
  }
  const ThreadPlan plan = plan_threads(wanted, mine, place);
  apply(plan);
  return plan.description;
}

void run_plan(const CommandLine& line, pipeline::Screen& screen) {
  choose_threads(0, line.ranks);  // as each of so many ranks would have
  if (line.json)
    std::fputs(campaign::plan_text(line.deck, line.ranks).c_str(), stdout);
  else
    campaign::show_plan(line.deck, line.ranks, screen);
}

void run_sweep(const CommandLine& line, pipeline::Screen& screen) {
  install_stop_handlers();
  choose_threads(0, line.ranks);
  campaign::SweepOptions options{.jobs = line.jobs,
                                 .ranks = line.ranks,
                                 .launcher = line.launcher,
                                 .program = own_program(),
                                 .timing = {}};
  options.timing.dead_after_seconds = line.dead_after_seconds;
  options.timing.heartbeat_seconds =
      std::min(options.timing.heartbeat_seconds, line.dead_after_seconds / 6.);
  campaign::work_on_sweep(line.deck, options, screen);
}

void run_generate(const CommandLine& line) {
  for (const char* count : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    if (const char* ranks = std::getenv(count); ranks != nullptr && std::atoi(ranks) > 1)
      throw UserError("generate works in one process: start it without mpirun or srun");
  const RunSpec spec = deck_for_evaluation(line);
  install_stop_handlers();
  choose_threads(spec.run.threads, 1);
  keep_freed_memory();
  pipeline::generate(spec, line.generate, [](std::int32_t token) {
    std::printf("%d\n", token);
    std::fflush(stdout);
  });
}

void run_export(const CommandLine& line, pipeline::Screen& screen) {
  install_stop_handlers();
  choose_threads(0, 1);
  const std::string& run = line.exported.run_dir;
  require_run_folder(run);
  std::vector<std::string> overrides;
  if (!line.model.empty()) overrides.push_back("model.path=" + line.model);
  exports::export_run(config::load_deck((fs::path(run) / "deck.yaml").string(), overrides),
                      line.exported, screen);
}

void run_python(const std::string& command, const std::vector<std::string>& arguments) {
  // The Python files lie beside an installed program, or in the source tree it was built from.
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  std::optional<fs::path> root;
  for (const fs::path& candidate : {program.parent_path().parent_path() / "share" / "constrictor",
                                    fs::path(CONSTRICTOR_SOURCE_DIR)})
    if (!root && fs::exists(candidate / "analysis" / (command + ".py"), ignored)) root = candidate;
  if (!root)
    throw UserError(command + ": analysis/" + command +
                    ".py is not where this program was built or installed");

  // CONSTRICTOR_PYTHON: an interpreter with packages that the usual one lacks (lm-eval, torch).
  const fs::path own_python = *root / ".venv" / "bin" / "python";
  const char* wanted = std::getenv("CONSTRICTOR_PYTHON");
  const std::string python = wanted != nullptr && *wanted != '\0' ? wanted
                             : fs::exists(own_python, ignored)    ? own_python.string()
                                                                  : "python3";
  const char* old_path = std::getenv("PYTHONPATH");
  const std::string path =
      root->string() + (old_path != nullptr ? std::string(":") + old_path : "");
  setenv("PYTHONPATH", path.c_str(), 1);
  setenv("CONSTRICTOR_PROGRAM", own_program().c_str(), 1);  // what generate.py calls

  std::vector<std::string> words = {python, "-m", "analysis." + command};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  throw UserError(command + ": cannot start " + python + ": " + std::strerror(errno));
}

}  // namespace constrictor::app
