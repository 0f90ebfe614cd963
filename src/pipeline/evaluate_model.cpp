// SPDX-License-Identifier: Apache-2.0
#include "pipeline/evaluate_model.hpp"

#include <filesystem>

#include "comm/agree.hpp"
#include "io/run_folder.hpp"
#include "model/forward.hpp"
#include "pipeline/evaluate_requests.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/finished_run.hpp"
#include "pipeline/job.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::pipeline {
namespace {

struct Subject {
  RunSpec spec;
  io::Checkpoint checkpoint;
  std::vector<Tokens> sets;
  std::vector<Requests> requests;
};

/// A run is compared with the model that it was made from; on its own a model may hold codes, ours
/// or somebody else's.
Subject open_subject(const RunSpec& spec, io::Codes codes) {
  Subject subject{spec, io::Checkpoint(spec.model.path, codes), {}, {}};
  for (const auto& path : spec.evaluation.tokens)
    subject.sets.push_back(open_tokens(path, subject.checkpoint, ""));
  return subject;
}

RequestOptions request_options(const EvaluateOptions& options) {
  RequestOptions requests{options.run_dir, options.out, options.device.name, {}};
  if (options.rank_tokens > 0) requests.settings.rank_tokens = options.rank_tokens;
  return requests;
}

}  // namespace

void evaluate_model(const comm::Communicator& ranks, const RunSpec& spec,
                    const EvaluateOptions& options, Screen& screen) {
  const Subject subject = comm::agree(ranks, [&] {
    auto opened =
        open_subject(spec, options.run_dir.empty() ? io::Codes::allowed : io::Codes::refused);
    if (!options.run_dir.empty()) require_complete(options.run_dir, opened.checkpoint);
    opened.requests = open_requests(options.requests, opened.checkpoint, request_options(options));
    return opened;
  });
  const Products products =
      model::resolved_products(subject.checkpoint.spec(), subject.spec.run.products);
  std::vector<std::string> header{
      "model        " + subject.spec.model.path,
      "run          " + (options.run_dir.empty() ? "none, the model as it is" : options.run_dir)};
  if (const std::string words = subject.checkpoint.packing_words(); !words.empty())
    header.push_back("codes        " + words);
  header.push_back(machine_line(ranks, options.threads, options.device.description));
  screen.header(header);
  QuantizedBlocks quantized;
  if (!options.run_dir.empty())
    quantized = [&](Index b) {
      return io::read_block(std::filesystem::path(options.run_dir) / "blocks" /
                            io::block_file_name(b))
          .layers;
    };
  SecondsByPhase seconds;
  const auto backend = backend::make_backend(
      ranks, options.device, {subject.checkpoint.spec(), products, subject.spec.run.reduction});
  if (!subject.requests.empty()) {
    auto requests = request_options(options);
    requests.settings.products = products;
    evaluate_requests(ranks, subject.checkpoint, *backend, quantized, subject.requests, requests,
                      screen);
  }
  if (subject.sets.empty()) return;
  const auto scores = evaluate(ranks, subject.checkpoint, *backend, quantized, subject.sets,
                               {products, subject.spec.evaluation.kl}, seconds, screen);
  if (!options.run_dir.empty())
    comm::agree_on_root(ranks, [&] {
      auto folder = io::RunFolder::open(options.run_dir,
                                        [&](const std::string& words) { screen.warning(words); });
      for (const Scores& score : scores) folder.add_scores(score);
    });
  screen.table(score_table(scores));
  screen.line(phase_line(seconds));
}

}  // namespace constrictor::pipeline
