// SPDX-License-Identifier: Apache-2.0
#include "app/command_line.hpp"

#include <sstream>

#include "app/help.hpp"
#include "app/options.hpp"
#include "core/error.hpp"

namespace constrictor::app {

namespace {

CommandLine parse_quantize(const Texts& words) {
  po::options_description visible("options"), all;
  visible.add_options()("set", assignments(),
                        "replaces one key of the deck; may be given many times")(
      "dry-run", "prints the resolved deck, memory per rank, disk and time; writes nothing")(
      "force", "starts although too little memory is predicted")(
      "run-dir", po::value<std::string>()->value_name("folder"),
      "result folder instead of <out>/<run-id>")(
      "from-statistics", po::value<std::string>()->value_name("run"),
      "solves from statistics that another run kept; no model is read")("help", "prints this");
  all.add(visible).add_options()("deck", po::value<std::string>(), "");
  const auto values = parsed(all, "deck", words, "quantize");
  CommandLine line;
  line.command = Command::quantize;
  if (values.count("help") != 0) {
    std::ostringstream options;
    options << visible;
    return help_line(help_of_quantize(options.str()));
  }
  line.deck = text_of(values, "deck");
  if (line.deck.empty())
    throw UserError("quantize: a deck is missing; see constrictor quantize --help");
  line.overrides = texts_of(values, "set");
  line.run_dir = text_of(values, "run-dir");
  line.from_statistics = text_of(values, "from-statistics");
  line.dry_run = values.count("dry-run") != 0;
  line.force = values.count("force") != 0;
  return line;
}

CommandLine parse_evaluate(const Texts& words) {
  po::options_description visible("options"), all;
  visible.add_options()("model", po::value<std::string>()->value_name("folder"),
                        "evaluates a model as it is, instead of a run")(
      "tokens", po::value<Texts>()->multitoken()->value_name("files"),
      "token files, instead of the deck's")(
      "set", assignments(),
      "replaces model.path or a key of evaluation or run; may be given many times")("help",
                                                                                    "prints this");
  all.add(visible).add_options()("run", po::value<std::string>(), "");
  const auto values = parsed(all, "run", words, "evaluate");
  CommandLine line;
  line.command = Command::evaluate;
  if (values.count("help") != 0) {
    std::ostringstream options;
    options << visible;
    return help_line(help_of_evaluate(options.str()));
  }
  line.run_dir = text_of(values, "run");
  line.model = text_of(values, "model");
  line.tokens = texts_of(values, "tokens");
  line.overrides = texts_of(values, "set");
  if (line.run_dir.empty() == line.model.empty())
    throw UserError(
        "evaluate: either a run folder or --model is needed; see constrictor evaluate "
        "--help");
  if (!line.model.empty() && line.tokens.empty())
    throw UserError("evaluate: --model needs --tokens; see constrictor evaluate --help");
  return line;
}

CommandLine parse_inspect(const Texts& words) {
  po::options_description all;
  all.add_options()("help", "")("run", po::value<std::string>(), "");
  const auto values = parsed(all, "run", words, "inspect");
  if (values.count("help") != 0) return help_line(help_of_inspect());
  CommandLine line;
  line.command = Command::inspect;
  line.run_dir = text_of(values, "run");
  if (line.run_dir.empty())
    throw UserError("inspect: a run folder is missing; see constrictor inspect --help");
  return line;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help")
    return help_line(help_of_all());
  const Texts rest(words.begin() + 1, words.end());
  if (words[0] == "quantize") return parse_quantize(rest);
  if (words[0] == "evaluate") return parse_evaluate(rest);
  if (words[0] == "inspect") return parse_inspect(rest);
  if (words[0] == "plan") return parse_plan(rest);
  if (words[0] == "sweep") return parse_sweep(rest);
  if (words[0] == "status") return parse_status(rest);
  if (words[0] == "retry") return parse_retry(rest);
  CommandLine line;
  if (words[0] == "tokens") {
    line.command = Command::tokens;
    line.arguments = rest;
    return line;
  }
  if (words[0] == "--version") {
    line.command = Command::version;
    return line;
  }
  throw UserError("'" + words[0] +
                  "' is no command; commands are quantize, evaluate, inspect, plan, sweep, status, "
                  "retry, tokens; "
                  "see constrictor --help");
}

bool needs_ranks(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  for (const char* alone : {"--help", "-h", "help", "--version", "inspect", "tokens", "plan",
                            "sweep", "status", "retry"})
    if (words[0] == alone) return false;
  for (const std::string& word : words)
    if (word == "--help") return false;
  return true;
}

}  // namespace constrictor::app
