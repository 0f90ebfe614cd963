// SPDX-License-Identifier: Apache-2.0
#include "pipeline/run_record.hpp"

#include <algorithm>

#include "comm/agree.hpp"
#include "config/resolved_text.hpp"
#include "core/build_info.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"
#include "data/words.hpp"
#include "io/widths_file.hpp"

namespace constrictor::pipeline {
namespace {

std::string joined_hosts(const comm::Communicator& ranks) {
  std::string text;
  std::string last;
  for (const auto& host : ranks.hosts()) {
    if (host != last) text += (text.empty() ? "" : ",") + host;
    last = host;
  }
  return text;
}

io::Provenance provenance_of(const comm::Communicator& ranks, const Job& job,
                             const ExecutionFacts& facts) {
  const auto& build = build_info();
  return {{"run_id", job.run_id},
          {"deck", config::resolved_text(job.spec)},
          {"git_sha", build.git_sha},
          {"version", build.version},
          {"compiler", build.compiler},
          {"libraries", facts.libraries},
          {"hosts", joined_hosts(ranks)},
          {"ranks", std::int64_t{ranks.size()}},
          {"threads", std::int64_t{facts.threads}},
          {"device", facts.device},
          {"started", io::now_utc()},
          {"tokens_sha256", job.calibration.tokens_sha256},
          {"model_sha256", job.checkpoint.model_sha256()},
          {"sample_sha256", job.checkpoint.sample_sha256()},
          {"sequence_length", std::int64_t{job.calibration.length()}},
          {"reduction", std::string(word(job.spec.run.reduction))},
          {"products", std::string(word(job.products))},
          {"state", std::string("running")}};
}

/// What earlier executions of the run took; nothing when there is no file that says so.
io::RunState earlier_state(const std::string& folder) {
  try {
    return io::read_state(std::filesystem::path(folder) / "state.json");
  } catch (const UserError&) {
    return {};
  }
}

/// The processor or device that an earlier execution ran on, without its number of cores.
std::string kind_of(const std::string& device) { return device.substr(0, device.rfind(',')); }
std::string earlier_device(const std::string& folder) {
  try {
    const auto facts = io::read_run_file(std::filesystem::path(folder) / "run.h5").provenance;
    const auto found = facts.find("device");
    return found == facts.end() ? "" : std::get<std::string>(found->second);
  } catch (const UserError&) {
    return "";
  }
}

double bytes_on_disk(const std::string& folder) {
  double bytes = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ignored))
    if (entry.is_regular_file(ignored)) bytes += static_cast<double>(entry.file_size(ignored));
  return bytes;
}

}  // namespace

RunRecord::RunRecord(const comm::Communicator& ranks, const Job& job, const ExecutionFacts& facts,
                     Screen& screen)
    : ranks_(ranks),
      folder_path_(job.folder),
      has_block_(static_cast<std::size_t>(job.model().blocks), 0) {
  comm::agree_on_root(ranks, [&] {
    const std::string before = earlier_device(job.folder);
    folder_ =
        std::make_unique<io::RunFolder>(job.folder, provenance_of(ranks, job, facts),
                                        [&](const std::string& words) { screen.warning(words); });
    folder_->write_deck(config::resolved_text(job.spec));
    earlier_ = earlier_state(job.folder);
    state_.ranks = ranks.size();
    state_.threads = facts.threads;
    for (Index b = 0; b < job.model().blocks; ++b)
      has_block_[static_cast<std::size_t>(b)] = folder_->has_block(b);
    if (blocks_done() > 0 && blocks_done() < job.model().blocks && !before.empty() &&
        kind_of(before) != kind_of(facts.device))
      screen.warning(std::to_string(blocks_done()) + " finished blocks were made on " + before +
                     ", the others will be on " + facts.device +
                     "; the last bits of such a run are those of neither");
    folder_->log("start", {{"ranks", std::int64_t{ranks.size()}},
                           {"blocks_done", std::int64_t{blocks_done()}}});
    write_state("running", 0);
  });
  ranks.broadcast(std::span<char>(has_block_));
}

RunRecord::~RunRecord() = default;

Index RunRecord::blocks_done() const {
  return std::count(has_block_.begin(), has_block_.end(), char{1});
}

io::BlockRecord RunRecord::read_record(Index block) const {
  return io::read_block(std::filesystem::path(folder_path_) / "blocks" /
                        io::block_file_name(block));
}

std::vector<QuantizedLayer> RunRecord::read_block(Index block) const {
  return read_record(block).layers;
}

std::optional<std::vector<Scores>> RunRecord::stored_scores(const std::vector<Tokens>& sets,
                                                            bool kl) const {
  const auto stored = io::read_run_file(std::filesystem::path(folder_path_) / "run.h5").scores;
  std::vector<Scores> found;
  for (const Tokens& set : sets)
    for (const auto& [name, scores] : stored)
      if (scores.tokens_sha256 == set.tokens_sha256 && (!kl || !scores.kl.empty()))
        found.push_back(scores);
  if (found.size() != sets.size()) return std::nullopt;
  return found;
}

std::vector<LayerWidths> RunRecord::stored_widths() const {
  const auto path = std::filesystem::path(folder_path_) / "widths.json";
  return comm::agree(ranks_, [&] {
    return std::filesystem::exists(path) ? io::read_widths(path) : std::vector<LayerWidths>();
  });
}

void RunRecord::keep_widths(double average, const std::vector<LayerWidths>& layers) {
  comm::agree_on_root(ranks_, [&] {
    io::write_widths(std::filesystem::path(folder_path_) / "widths.json", average, layers);
  });
}

void RunRecord::write_block(io::BlockRecord record, double eta_seconds) {
  finish_writing();
  const auto block = static_cast<std::size_t>(record.index);
  if (ranks_.rank() == 0)
    writing_ = std::async(std::launch::async, [this, kept = std::move(record), eta_seconds] {
      use_one_thread_here();  // the others are at work
      write(kept, eta_seconds);
    });
  else
    has_block_[block] = 1;
}

void RunRecord::write(const io::BlockRecord& record, double eta_seconds) {
  folder_->write_block(record);
  for (const auto& layer : record.layers) {
    folder_->log("layer", {{"block", std::int64_t{record.index}},
                           {"layer", layer.name},
                           {"method", layer.method_used},
                           {"relative_loss", layer.relative_loss()},
                           {"loss_before", layer.loss_before},
                           {"loss_after", layer.loss_after},
                           {"loss_rounding", layer.loss_rounding},
                           {"damping", layer.damping},
                           {"retries", std::int64_t{layer.damping_retries}},
                           {"dead_columns", std::int64_t{layer.dead_columns}},
                           {"seconds", layer.seconds}});
    if (layer.spec.method == Method::aespa)
      folder_->log("learned rounding", {{"block", std::int64_t{record.index}},
                                        {"layer", layer.name},
                                        {"loss_start", layer.rounding.loss_start},
                                        {"steps", layer.rounding.steps},
                                        {"undecided", layer.rounding.undecided},
                                        {"rows_at_start", layer.rounding.rows_at_start}});
  }
  has_block_[static_cast<std::size_t>(record.index)] = 1;
  state_.peak_memory_bytes = std::max(state_.peak_memory_bytes, record.peak_memory_bytes);
  write_state("running", eta_seconds);
}

void RunRecord::finish_writing() {
  comm::agree_on_root(ranks_, [&] {
    if (writing_.valid()) writing_.get();
  });
}

void RunRecord::write_scores(const std::vector<Scores>& scores) {
  finish_writing();
  comm::agree_on_root(ranks_, [&] {
    for (const Scores& score : scores) folder_->add_scores(score);
  });
}

void RunRecord::finish(const SecondsByPhase& seconds) {
  finish_writing();
  state_.peak_memory_bytes = std::max(
      {state_.peak_memory_bytes, ranks_.max(Index{peak_memory()}), earlier_.peak_memory_bytes});
  comm::agree_on_root(ranks_, [&] {
    folder_->add_seconds(seconds);
    folder_->add_provenance({{"finished", io::now_utc()}, {"state", std::string("done")}});
    folder_->log("done");
    state_.disk_bytes = static_cast<std::int64_t>(bytes_on_disk(folder_path_));
    write_state("done", 0);
  });
}

void RunRecord::log(const std::string& event, const io::Facts& facts) {
  CONSTRICTOR_REQUIRE(!writing_.valid());
  if (folder_) folder_->log(event, facts);
}

void RunRecord::leave(const std::string& state, const std::string& words,
                      const SecondsByPhase& seconds) noexcept {
  if (!folder_) return;
  try {
    if (writing_.valid()) writing_.get();
  } catch (...) {  // the words that end the run are those of the failure that came first
  }
  try {
    folder_->log(state, {{"words", words}});
    folder_->add_seconds(seconds);
    folder_->add_provenance({{"state", state}});
    write_state(state, 0, state == "failed" ? words : "");
  } catch (...) {  // the disk may be what failed; the exit code and the message still tell
  }
}

void RunRecord::write_state(const std::string& state, double eta_seconds,
                            const std::string& words) {
  state_.state = state;
  state_.words = words;
  state_.blocks_done = blocks_done();
  state_.blocks = static_cast<Index>(has_block_.size());
  state_.eta_seconds = eta_seconds;
  const double seconds = wall_seconds() - start_;
  const double rank_seconds = seconds * static_cast<double>(state_.ranks);
  state_.seconds = earlier_.seconds + seconds;
  state_.rank_seconds = earlier_.rank_seconds + rank_seconds;
  state_.core_seconds = earlier_.core_seconds + rank_seconds * static_cast<double>(state_.threads);
  folder_->write_state(state_);
}

}  // namespace constrictor::pipeline
