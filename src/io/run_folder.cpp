// SPDX-License-Identifier: Apache-2.0
#include "io/run_folder.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

/// What two runs must share to be the same run.
constexpr const char* identity[] = {"run_id", "tokens_sha256", "model_sha256", "sample_sha256"};

/// Creates the folder with blocks/ and returns it: nothing of a run can be made before this.
fs::path created(fs::path folder) {
  std::error_code error;
  fs::create_directories(folder / "blocks", error);
  if (error)
    throw FileSystemError((folder / "blocks").string() + ": cannot be created: " + error.message());
  return folder;
}

/// Only names of ours: `--run-dir` may point to a folder that holds other people's files too.
void remove_leftovers(const fs::path& folder) {
  std::vector<fs::path> ours = {folder / "run.h5", folder / "state.json", folder / "deck.yaml"};
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "blocks", error))
    if (entry.path().extension() == ".partial")
      ours.push_back(entry.path().parent_path() / entry.path().stem());
  for (const fs::path& path : ours) {
    if (!error) fs::remove(partial_path(path), error);
    if (error) throw FileSystemError(path.string() + ": " + error.message());
  }
}

std::string text_of(const Fact& fact) {
  if (const auto* text = std::get_if<std::string>(&fact)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&fact)) return std::to_string(*integer);
  return std::to_string(std::get<double>(fact));
}

void check_identity(const fs::path& folder, const Provenance& found, const Provenance& wanted) {
  for (const char* name : identity) {
    const auto ours = wanted.find(name);
    const auto theirs = found.find(name);
    if (ours == wanted.end() || (theirs != found.end() && theirs->second == ours->second)) continue;
    throw UserError(folder.string() + ": belongs to another run: its " + name + " is " +
                    (theirs == found.end() ? "not recorded" : text_of(theirs->second)) +
                    ", that of this run " + text_of(ours->second) +
                    "; choose another folder or remove this one");
  }
}

/// What an earlier process of the same run left, or nothing.
RunFile earlier_contents(const fs::path& folder, const Provenance& wanted) {
  std::error_code ignored;
  if (fs::exists(folder / "run.h5", ignored)) {
    RunFile run = read_run_file(folder / "run.h5");
    check_identity(folder, run.provenance, wanted);
    return run;
  }
  if (!finished_blocks(folder).empty())
    throw UserError(folder.string() +
                    ": holds blocks but no run.h5, so nobody knows which run they belong to");
  return {};
}

}  // namespace

std::vector<Index> finished_blocks(const fs::path& run_folder) {
  std::vector<Index> blocks;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_folder / "blocks", ignored)) {
    const std::string stem = entry.path().stem().string();
    const bool number =
        stem.size() >= 4 && stem.size() <= 9 &&
        std::all_of(stem.begin(), stem.end(), [](unsigned char c) { return std::isdigit(c); });
    if (entry.path().extension() == ".h5" && number) blocks.push_back(std::stoll(stem));
  }
  std::sort(blocks.begin(), blocks.end());
  return blocks;
}

RunFolder::RunFolder(fs::path folder, const Provenance& provenance, const Notice& notice,
                     LockTiming timing)
    : folder_(created(std::move(folder))),
      lock_(folder_, notice, timing),
      run_(earlier_contents(folder_, provenance)),
      log_(folder_ / "log.jsonl") {
  remove_leftovers(folder_);
  const Provenance earlier = run_.provenance;
  run_.provenance = provenance;
  run_.provenance.insert(earlier.begin(), earlier.end());
  if (earlier.count("started") != 0) run_.provenance["started"] = earlier.at("started");
  write_run();
}

RunFolder RunFolder::open(const fs::path& folder, const Notice& notice, LockTiming timing) {
  read_run_file(folder / "run.h5");  // refuses before anything is created
  return RunFolder(folder, {}, notice, timing);
}

fs::path RunFolder::block_path(Index block) const {
  return folder_ / "blocks" / block_file_name(block);
}

bool RunFolder::has_block(Index block) const {
  std::error_code ignored;
  return fs::exists(block_path(block), ignored);
}

void RunFolder::write_deck(std::string_view resolved_text) {
  write_text_atomically(folder_ / "deck.yaml", resolved_text);
}

void RunFolder::write_block(const BlockRecord& record) {
  io::write_block(block_path(record.index), record);
  write_run();
}

void RunFolder::add_provenance(const Provenance& facts) {
  for (const auto& [name, fact] : facts) run_.provenance[name] = fact;
  write_run();
}

void RunFolder::add_seconds(const SecondsByPhase& seconds) {
  SecondsByPhase total;
  if (const auto earlier = run_.provenance.find("seconds_by_phase");
      earlier != run_.provenance.end())
    total = nlohmann::json::parse(std::get<std::string>(earlier->second)).get<SecondsByPhase>();
  for (const auto& [phase, value] : seconds) total[phase] += value;
  add_provenance({{"seconds_by_phase", nlohmann::json(total).dump()}});
}

void RunFolder::add_answers() { write_run(); }

void RunFolder::add_scores(const Scores& scores) {
  run_.scores[scores.dataset] = scores;
  write_run();
}

/// The links follow the files, so that they are right after a kill between a block and its link
/// too.
void RunFolder::write_run() {
  run_.blocks = finished_blocks(folder_);
  run_.requests = answered_requests(folder_);
  write_run_file(folder_ / "run.h5", run_);
}

}  // namespace constrictor::io
