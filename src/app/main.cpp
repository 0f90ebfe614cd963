// SPDX-License-Identifier: Apache-2.0
// Sample runs:  constrictor quantize deck.yaml --dry-run
//               mpirun -np 4 constrictor quantize deck.yaml --set quant.bits=2
//               mpirun -np 4 constrictor evaluate runs/0123456789ab
//               constrictor inspect runs/0123456789ab
//               constrictor sweep sweep.yaml --local -j 2 -np 1
//               constrictor tokens --help

#include <cstdio>

#include "app/command_line.hpp"
#include "app/help.hpp"
#include "app/report.hpp"
#include "app/start.hpp"
#include "app/terminal_screen.hpp"
#include "campaign/sweep_progress.hpp"
#include "comm/agree.hpp"
#include "comm/session.hpp"
#include "core/memory.hpp"
#include "core/stop_flag.hpp"
#include "device/device.hpp"
#include "pipeline/evaluate_model.hpp"
#include "pipeline/inspect_run.hpp"
#include "pipeline/quantize_model.hpp"

using namespace constrictor;

namespace {

using Words = std::vector<std::string>;

/// Commands that one process does: all but quantize and evaluate.
int run_alone(const Words& words) {
  try {
    const app::CommandLine line = app::parse_command_line(words);
    app::TerminalScreen screen(0);
    if (line.command == app::Command::plan) app::run_plan(line, screen);
    if (line.command == app::Command::sweep) app::run_sweep(line, screen);
    if (line.command == app::Command::status)
      campaign::show_status(line.deck, {.all = line.all, .watch = line.watch}, screen);
    if (line.command == app::Command::retry) campaign::retry_failed(line.deck, screen);
    if (line.command == app::Command::export_) app::run_export(line, screen);
    if (line.command == app::Command::tokens) app::run_python("tokens", line.arguments);
    if (line.command == app::Command::tasks) app::run_python("tasks", line.arguments);
    if (line.command == app::Command::generate) app::run_generate(line);
    if (line.command == app::Command::generate_text) app::run_python("generate", line.arguments);
    if (line.command == app::Command::inspect) pipeline::inspect_run(line.run_dir, screen);
    if (line.command == app::Command::version) std::fputs(app::version_text().c_str(), stdout);
    if (line.command == app::Command::help) std::fputs(line.help.c_str(), stdout);
    return 0;
  } catch (const std::exception& error) {
    return app::report(error);
  }
}

/// Commands that all ranks do together: quantize, evaluate, bench.
void run_on_ranks(const comm::Communicator& ranks, const Words& words) {
  // 3. Read the command line and the deck; all ranks get the same.
  const app::CommandLine line = comm::agree(ranks, [&] { return app::parse_command_line(words); });
  const RunSpec spec = app::read_deck(ranks, line);

  // 4. Give this rank its threads and its device.
  const std::string threads = app::start_threads(ranks, spec.run.threads);
  const device::Device device =
      comm::agree(ranks, [&] { return device::choose_device(spec.run.device, ranks.node_rank()); });

  // 5. Work. From here on a signal asks for an early end at the next safe place.
  install_stop_handlers();
  app::TerminalScreen screen(ranks.rank());
  if (line.command == app::Command::quantize) {
    const pipeline::QuantizeOptions options{.dry_run = line.dry_run,
                                            .force = line.force,
                                            .from_statistics = line.from_statistics,
                                            .device = device,
                                            .threads = threads};
    pipeline::quantize_model(ranks, spec, options, screen);
  } else if (line.command == app::Command::bench) {
    bench::BenchOptions options = line.bench;
    options.device = device;
    options.threads = threads;
    bench::bench(ranks, spec, options, screen);
  } else {
    const pipeline::EvaluateOptions options{.run_dir = line.run_dir,
                                            .requests = line.requests,
                                            .out = line.out,
                                            .rank_tokens = line.rank_tokens,
                                            .device = device,
                                            .threads = threads};
    pipeline::evaluate_model(ranks, spec, options, screen);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // 1. Commands that need no ranks must work where MPI cannot start, on a login node.
  const Words words(argv + 1, argv + argc);
  if (!app::needs_ranks(words)) return run_alone(words);

  keep_freed_memory();

  // 2. Start MPI; everything else lives inside this scope.
  const comm::MpiSession session(argc, argv);
  const comm::Communicator ranks = comm::Communicator::world();
  try {
    run_on_ranks(ranks, words);
    return 0;
  } catch (const std::exception& error) {
    return app::report(error, ranks);
  }
}
