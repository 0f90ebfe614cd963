// SPDX-License-Identifier: Apache-2.0
#include "pipeline/evaluate_requests.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <set>

#include "comm/agree.hpp"
#include "core/build_info.hpp"
#include "core/timer.hpp"
#include "data/words.hpp"
#include "eval/task_scores.hpp"
#include "io/answer_file.hpp"
#include "io/request_file.hpp"
#include "io/run_folder.hpp"
#include "linalg/gemm.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::pipeline {
namespace {

namespace fs = std::filesystem;

fs::path answer_path(const Requests& requests, const RequestOptions& options) {
  const std::string name = io::request_file_name(requests.path) + ".h5";
  if (!options.run_dir.empty()) return fs::path(options.run_dir) / "requests" / name;
  const fs::path out = options.out;
  return out.extension() == ".h5" ? out : out / name;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * share);
  return text;
}
std::string accuracy_text(const Accuracy& accuracy) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f ± %.2f %%", 100 * accuracy.value, 100 * accuracy.error);
  return text;
}

std::vector<Screen::Row> accuracy_table(const std::vector<TaskScore>& scores) {
  std::vector<Screen::Row> rows{{"task", "documents", "acc", "acc_norm"}};
  for (const TaskScore& score : scores)
    rows.push_back({score.name, std::to_string(score.documents), accuracy_text(score.acc),
                    score.normalized ? accuracy_text(score.acc_norm) : "-"});
  return rows;
}

std::string average_line(const std::vector<TaskScore>& scores) {
  const eval::TaskAverage average = eval::task_average(scores);
  return "average      " + percent(average.value) +
         (average.whole ? " of the eight tasks of the TurboBoA protocol"
                        : " of " + std::to_string(average.tasks) +
                              (average.tasks == 1 ? " task" : " tasks")) +
         " (acc_norm where a task has it, else acc)";
}

io::AnswerFacts facts_of(const Requests& requests, const io::Checkpoint& checkpoint,
                         const backend::Backend& backend, const RequestOptions& options) {
  io::AnswerFacts facts{{"requests_sha256", requests.requests_sha256},
                        {"sample_sha256", checkpoint.sample_sha256()},
                        {"products", std::string(word(options.settings.products))},
                        {"product_library", backend.product_library()},
                        {"device", options.device_name},
                        {"version", build_info().version}};
  if (!options.run_dir.empty())
    facts["run_id"] = std::get<std::string>(
        io::read_run_file(fs::path(options.run_dir) / "run.h5").provenance.at("run_id"));
  return facts;
}

Index done_of(const RequestAnswers& answers) {
  return std::accumulate(answers.done.begin(), answers.done.end(), Index{0});
}

/// What is known already, on all ranks.
RequestAnswers earlier_answers(const comm::Communicator& ranks, const fs::path& path,
                               const io::AnswerFacts& facts, Index requests, Screen& screen) {
  RequestAnswers answers(requests);
  comm::agree_on_root(ranks, [&] {
    std::error_code ignored;
    const auto found = io::read_unfinished(path, facts, requests);
    if (found) {
      answers = *found;
      screen.line("going on     " + std::to_string(done_of(answers)) + " of " +
                  std::to_string(requests) + " requests are answered already");
    } else if (fs::exists(io::unfinished_path(path), ignored)) {
      screen.warning(
          io::unfinished_path(path).string() +
          ": belongs to other requests, another model or another program; starting anew");
    }
  });
  ranks.broadcast(answers.log_likelihood);
  ranks.broadcast(answers.greedy);
  ranks.broadcast(answers.done);
  return answers;
}

}  // namespace

std::vector<Requests> open_requests(const std::vector<std::string>& paths,
                                    const io::Checkpoint& checkpoint,
                                    const RequestOptions& options) {
  std::vector<Requests> files;
  std::set<fs::path> results;
  for (const std::string& path : paths) {
    files.push_back(io::read_requests(path));
    io::check_requests(files.back(), checkpoint.spec(), checkpoint.tokenizer_sha256());
    if (!results.insert(answer_path(files.back(), options)).second)
      throw UserError(path + ": its answers would go to " +
                      answer_path(files.back(), options).string() +
                      ", like those of another request file");
  }
  return files;
}

void evaluate_requests(const comm::Communicator& ranks, const io::Checkpoint& checkpoint,
                       backend::Backend& backend, const QuantizedBlocks& quantized,
                       const std::vector<Requests>& files, const RequestOptions& options,
                       Screen& screen) {
  std::optional<io::RunFolder> folder;  // held while we work, so that nobody else does
  if (!options.run_dir.empty())
    comm::agree_on_root(ranks, [&] {
      folder.emplace(options.run_dir, io::Provenance{},
                     [&](const std::string& words) { screen.warning(words); });
    });
  std::vector<TaskScore> scores;
  Index asked = 0;
  const double start = wall_seconds();
  for (const Requests& requests : files) {
    const fs::path path = answer_path(requests, options);
    const auto facts =
        comm::agree(ranks, [&] { return facts_of(requests, checkpoint, backend, options); });
    RequestAnswers answers = earlier_answers(ranks, path, facts, requests.count(), screen);
    asked += requests.count() - done_of(answers);
    answer_requests(
        ranks, checkpoint, backend, quantized, requests, options.settings,
        [&] { io::write_unfinished(path, facts, answers); }, answers, screen);
    const auto of_file = eval::task_scores(requests, answers);
    comm::agree_on_root(ranks, [&] {
      io::write_answers(path, facts, requests, answers, of_file);
      if (folder) folder->add_answers();
    });
    scores.insert(scores.end(), of_file.begin(), of_file.end());
  }
  const double seconds = wall_seconds() - start;
  screen.table(accuracy_table(scores));
  screen.line(average_line(scores));
  char rate[96];
  std::snprintf(rate, sizeof rate, "requests     %lld in %.1f s, %.0f a second",
                static_cast<long long>(asked), seconds,
                static_cast<double>(asked) / std::max(seconds, 1e-9));
  screen.line(rate);
  screen.line("answers      " + answer_path(files[0], options).parent_path().string());
}

}  // namespace constrictor::pipeline
