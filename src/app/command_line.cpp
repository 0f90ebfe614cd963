// SPDX-License-Identifier: Apache-2.0
#include "app/command_line.hpp"

#include <algorithm>
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
      "requests", po::value<Texts>()->multitoken()->value_name("files"),
      "request files of zero-shot tasks (constrictor tasks build)")(
      "out", po::value<std::string>()->value_name("path"),
      "with --model and --requests: file *.h5 of the answers, or a folder for them")(
      "rank-tokens", po::value<Index>()->value_name("n"),
      "tokens of requests that a rank holds at a time (65536); no answer depends on it")(
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
  line.requests = texts_of(values, "requests");
  line.out = text_of(values, "out");
  line.overrides = texts_of(values, "set");
  if (values.count("rank-tokens") != 0) line.rank_tokens = values["rank-tokens"].as<Index>();
  if (values.count("rank-tokens") != 0 && line.rank_tokens < 1)
    throw UserError("evaluate: --rank-tokens must be at least 1");
  if (line.run_dir.empty() == line.model.empty())
    throw UserError(
        "evaluate: either a run folder or --model is needed; see constrictor evaluate "
        "--help");
  if (!line.model.empty() && line.tokens.empty() && line.requests.empty())
    throw UserError(
        "evaluate: --model needs --tokens or --requests; see constrictor evaluate --help");
  const bool needs_out = !line.model.empty() && !line.requests.empty();
  if (needs_out != !line.out.empty())
    throw UserError(needs_out
                        ? "evaluate: --requests with --model needs --out for the answers"
                        : "evaluate: --out goes with --model and --requests; the answers of a run "
                          "go to its folder");
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

CommandLine parse_export(const Texts& words) {
  CommandLine line;
  line.command = Command::export_;
  exports::ExportOptions& options = line.exported;
  po::options_description visible("options"), all;
  visible.add_options()("format", po::value(&options.format)->value_name("word"),
                        "compressed-tensors, gptq, dequantized or all")(
      "to", po::value(&options.to)->value_name("folder"), "what is made; see below")(
      "model", po::value(&line.model)->value_name("folder"),
      "where the run's model lies now, instead of the deck's model.path")("help", "prints this");
  all.add(visible).add_options()("run", po::value<std::string>(), "");
  const auto values = parsed(all, "run", words, "export");
  if (values.count("help") != 0) {
    std::ostringstream text;
    text << visible;
    return help_line(help_of_export(text.str()));
  }
  options.run_dir = text_of(values, "run");
  for (const auto& [value, name] : {std::pair(options.run_dir, "a run folder"),
                                    {options.format, "--format"},
                                    {options.to, "--to"}})
    if (value.empty())
      throw UserError(std::string("export: ") + name +
                      " is missing; see constrictor export --help");
  return line;
}

CommandLine parse_bench(const Texts& words) {
  CommandLine line;
  line.command = Command::bench;
  bench::BenchOptions& bench = line.bench;
  Index sequences = 128;
  double link = 50;
  std::string device = "cpu";
  po::options_description options("options");
  options.add_options()("shape", po::value(&bench.shape)->value_name("name"),
                        "the model's shape, see below")(
      "blocks", po::value(&bench.blocks)->default_value(2), "blocks to measure")(
      "sequences", po::value(&sequences)->default_value(128), "calibration sequences")(
      "length", po::value(&bench.length)->default_value(2048), "tokens of a sequence")(
      "device", po::value(&device)->default_value("cpu"), "cpu or cuda")(
      "set", assignments(), "replaces a key of quant or run; may be given many times")(
      "seed", po::value(&bench.seed)->default_value(1), "of weights and hidden states")(
      "json", po::value(&bench.json)->value_name("file"), "writes the figures there, too")(
      "scaling", "predicts 1 to 64 ranks from what one took")(
      "link", po::value(&link)->default_value(50, "50"), "GB/s between ranks, for --scaling")(
      "help", "prints this");
  po::options_description all;
  all.add(options).add_options()("nothing", po::value<std::string>(), "");
  const auto values = parsed(all, "nothing", words, "bench");
  if (values.count("help") != 0) {
    std::ostringstream text;
    text << options;
    return help_line(help_of_bench(text.str()));
  }
  if (values.count("nothing") != 0)
    throw UserError("bench: '" + text_of(values, "nothing") +
                    "' is no option; see constrictor bench --help");
  if (bench.shape.empty())
    throw UserError("bench: --shape is missing; see constrictor bench --help");
  if (!(link > 0)) throw UserError("bench: --link must be above 0");
  bench.link = 1e9 * link;
  bench.scaling = values.count("scaling") != 0;
  line.overrides = texts_of(values, "set");
  line.overrides.push_back("calibration.sequences=" + std::to_string(sequences));
  line.overrides.push_back("run.device=" + device);
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
  if (words[0] == "bench") return parse_bench(rest);
  if (words[0] == "export") return parse_export(rest);
  CommandLine line;
  if (words[0] == "tokens" || words[0] == "tasks") {
    line.command = words[0] == "tokens" ? Command::tokens : Command::tasks;
    line.arguments = rest;
    return line;
  }
  if (words[0] == "generate") {
    const bool with_ids = std::any_of(rest.begin(), rest.end(), [](const std::string& word) {
      return word == "--ids" || word.rfind("--ids=", 0) == 0;
    });
    if (with_ids) return parse_generate(rest);
    line.command = Command::generate_text;
    line.arguments = rest;
    return line;
  }
  if (words[0] == "--version") {
    line.command = Command::version;
    return line;
  }
  throw UserError("'" + words[0] +
                  "' is no command; commands are quantize, evaluate, inspect, plan, sweep, status, "
                  "retry, tokens, tasks, generate, bench, export; "
                  "see constrictor --help");
}

bool needs_ranks(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  for (const char* alone : {"--help", "-h", "help", "--version", "inspect", "tokens", "tasks",
                            "generate", "plan", "sweep", "status", "retry", "export"})
    if (words[0] == alone) return false;
  for (const std::string& word : words)
    if (word == "--help") return false;
  return true;
}

}  // namespace constrictor::app
