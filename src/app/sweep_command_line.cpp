// SPDX-License-Identifier: Apache-2.0
// The commands that take a sweep deck.
#include <algorithm>
#include <sstream>

#include "app/help.hpp"
#include "app/options.hpp"
#include "core/error.hpp"

namespace constrictor::app {

namespace {

/// Parses `words` with the sweep deck as positional argument; fills line.help when it was asked
/// for.
struct SweepCommand {
  SweepCommand(const char* name, Command command) : name_(name) { line.command = command; }

  po::options_description visible{"options"};
  po::variables_map values;
  CommandLine line;

  bool parse(Texts words, std::string (*help)(const std::string& options)) {
    std::replace(words.begin(), words.end(), std::string("-np"), std::string("--np"));  // as mpirun
    visible.add_options()("help", "prints this");
    po::options_description all;
    all.add(visible).add_options()("deck", po::value<std::string>(), "");
    values = parsed(all, "deck", words, name_);
    if (values.count("help") != 0) {
      std::ostringstream options;
      options << visible;
      line = help_line(help(options.str()));
      return false;
    }
    line.deck = text_of(values, "deck");
    if (line.deck.empty())
      throw UserError(name_ + ": a sweep deck is missing; see constrictor " + name_ + " --help");
    return true;
  }

  /// A whole number of at least `least`.
  int number(const char* option, int least) const {
    const int value = values[option].as<int>();
    if (value < least)
      throw UserError(name_ + ": --" + option + " must be at least " + std::to_string(least));
    return value;
  }
  bool flag(const char* option) const { return values.count(option) != 0; }

 private:
  std::string name_;
};

}  // namespace

CommandLine parse_plan(const Texts& words) {
  SweepCommand plan("plan", Command::plan);
  plan.visible.add_options()("np", po::value<int>()->default_value(1)->value_name("ranks"),
                             "ranks of each run, -np for short")(
      "json", "prints ids, labels, folders and predictions for other programs");
  if (!plan.parse(words, help_of_plan)) return plan.line;
  plan.line.ranks = plan.number("np", 1);
  plan.line.json = plan.flag("json");
  return plan.line;
}

CommandLine parse_sweep(const Texts& words) {
  SweepCommand sweep("sweep", Command::sweep);
  sweep.visible.add_options()("local", "all runs on this machine, whatever mpirun counts as slots")(
      "jobs,j", po::value<int>()->default_value(1)->value_name("runs"), "runs at the same time")(
      "np", po::value<int>()->default_value(1)->value_name("ranks"),
      "ranks of each run, -np for short")(
      "launcher", po::value<std::string>()->value_name("words"),
      "starts a run instead of mpirun; {ranks} is replaced: \"srun -n {ranks} slurm/bind_gpu.sh\"")(
      "dead-after", po::value<int>()->default_value(180)->value_name("seconds"),
      "a worker of another host without a heartbeat for so long counts as dead");
  if (!sweep.parse(words, help_of_sweep)) return sweep.line;
  CommandLine& line = sweep.line;
  line.jobs = sweep.number("jobs", 1);
  line.ranks = sweep.number("np", 1);
  line.dead_after_seconds = sweep.number("dead-after", 1);
  line.launcher = text_of(sweep.values, "launcher");
  if (line.launcher.empty() && sweep.flag("local") && line.ranks > 1)
    line.launcher = "mpirun --oversubscribe --bind-to none -np {ranks}";
  return line;
}

CommandLine parse_status(const Texts& words) {
  SweepCommand status("status", Command::status);
  status.visible.add_options()("all",
                               "one row for every run, not only for those that run or failed")(
      "watch", "again every two seconds, until nothing runs or waits");
  if (!status.parse(words, help_of_status)) return status.line;
  status.line.all = status.flag("all");
  status.line.watch = status.flag("watch");
  return status.line;
}

CommandLine parse_retry(const Texts& words) {
  SweepCommand retry("retry", Command::retry);
  retry.visible.add_options()("failed", "all runs that failed");
  if (!retry.parse(words, help_of_retry)) return retry.line;
  if (!retry.flag("failed"))
    throw UserError("retry: say which runs: --failed; see constrictor retry --help");
  return retry.line;
}

}  // namespace constrictor::app
