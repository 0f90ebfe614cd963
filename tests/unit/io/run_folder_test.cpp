// SPDX-License-Identifier: Apache-2.0
#include "io/run_folder.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/atomic_file.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

const Provenance first_run = {{"run_id", "abc"},        {"tokens_sha256", "t"},
                              {"model_sha256", "m"},    {"sample_sha256", "s"},
                              {"started", "yesterday"}, {"ranks", std::int64_t{2}},
                              {"alpha", 0.25},          {"deck", "quant:\n  bits: 2\n"}};

BlockRecord block(Index index) {
  BlockRecord record;
  record.index = index;
  record.output_error = static_cast<double>(index) + 0.5;
  return record;
}

Scores scores() {
  return {"wiki/test", "hash", 256, {1.0, 2.0, 3.0}, {1.0, 1.0, 2.5}, {0.1, 0.2, 0.6}, 0.75};
}

TEST(RunFolder, HoldsARun) {
  const TemporaryFolder place;
  const auto path = place / "runs/abc";
  {
    RunFolder folder(path, first_run);
    EXPECT_FALSE(folder.has_block(0));
    folder.write_deck("quant:\n  bits: 2\n");
    folder.write_block(block(0));
    folder.write_block(block(1));
    folder.add_scores(scores());
    folder.add_provenance({{"state", "done"}, {"finished", "today"}});
    EXPECT_TRUE(folder.has_block(1));
    EXPECT_EQ(folder.block_path(1), path / "blocks/0001.h5");
    EXPECT_EQ(folder.read_block(1).output_error, 1.5);
    EXPECT_TRUE(folder.holds_lock());
  }
  EXPECT_FALSE(std::filesystem::exists(path / "run.lock"));
  EXPECT_EQ(read_bytes(path / "deck.yaml"), "quant:\n  bits: 2\n");
  const RunFile run = read_run_file(path / "run.h5");
  EXPECT_EQ(std::get<std::string>(run.provenance.at("state")), "done");
  EXPECT_EQ(std::get<std::int64_t>(run.provenance.at("ranks")), 2);
  EXPECT_EQ(std::get<double>(run.provenance.at("alpha")), 0.25);
  EXPECT_EQ(run.blocks, (std::vector<Index>{0, 1}));
  const Scores wanted = scores(), back = run.scores.at("wiki/test");
  EXPECT_EQ(std::tie(back.nll, back.full_nll, back.kl, back.length, back.top1_agreement,
                     back.tokens_sha256),
            std::tie(wanted.nll, wanted.full_nll, wanted.kl, wanted.length, wanted.top1_agreement,
                     wanted.tokens_sha256));

  const H5File file = H5File::open(path / "run.h5");
  EXPECT_EQ(file.group("blocks").group("0001").attribute<double>("output_error"), 1.5);  // the link
  const H5Group wiki = file.group("evaluation").group("wiki_test");
  EXPECT_EQ(wiki.attribute<double>("perplexity"), std::exp(2.0));
  EXPECT_EQ(wiki.attribute<double>("full_perplexity"), std::exp(1.5));
  EXPECT_NEAR(wiki.attribute<double>("kl_to_full"), 0.3, 1e-15);
  EXPECT_EQ(wiki.attribute<double>("top1_agreement"), 0.75);
  EXPECT_EQ(wiki.attribute<std::int64_t>("windows"), 3);
  EXPECT_EQ(wiki.attribute<std::int64_t>("length"), 256);
}

TEST(RunFolder, ScoresWithoutComparisonHaveNoComparison) {
  const TemporaryFolder place;
  Scores plain = scores();
  plain.full_nll.clear();
  plain.kl.clear();
  RunFile run;
  run.scores[plain.dataset] = plain;
  write_run_file(place / "run.h5", run);
  const H5File file = H5File::open(place / "run.h5");
  EXPECT_FALSE(file.group("evaluation").group("wiki_test").has_attribute("kl_to_full"));
  EXPECT_TRUE(read_run_file(place / "run.h5").scores.at("wiki/test").kl.empty());
}

TEST(RunFolder, GoesOnWhereAKilledRunStopped) {
  const TemporaryFolder place;
  {
    RunFolder folder(place.path(), first_run);
    folder.write_block(block(0));
    folder.add_scores(scores());
  }
  write_block(place / "blocks/0001.h5", block(1));  // killed between the block and its link
  write_bytes(place / "blocks/0002.h5.partial", "half");
  write_bytes(place / "run.h5.partial", "half");
  write_bytes(place / "state.json.partial", "half");
  write_bytes(place / "film.partial", "somebody else's");
  Provenance again = first_run;
  again["started"] = "today";
  again["ranks"] = std::int64_t{4};
  RunFolder folder(place.path(), again);
  EXPECT_TRUE(folder.has_block(1));
  EXPECT_FALSE(folder.has_block(2));
  for (const char* name : {"blocks/0002.h5.partial", "run.h5.partial", "state.json.partial"})
    EXPECT_FALSE(std::filesystem::exists(place / name)) << name;
  EXPECT_TRUE(std::filesystem::exists(place / "film.partial"));
  const RunFile run = read_run_file(place / "run.h5");
  EXPECT_EQ(run.blocks, (std::vector<Index>{0, 1}));
  EXPECT_EQ(std::get<std::string>(run.provenance.at("started")), "yesterday");
  EXPECT_EQ(std::get<std::int64_t>(run.provenance.at("ranks")), 4);
  EXPECT_EQ(run.scores.size(), 1u);
}

TEST(RunFolder, OfAnotherRunIsRefusedByName) {
  const TemporaryFolder place;
  { RunFolder folder(place.path(), first_run); }
  const std::string before = read_bytes(place / "run.h5");
  for (const char* name : {"run_id", "tokens_sha256", "model_sha256", "sample_sha256"}) {
    Provenance other = first_run;
    const std::string theirs = std::get<std::string>(other[name]);
    other[name] = "other";
    EXPECT_CONTAINS(message_of<UserError>([&] { RunFolder(place.path(), other); }),
                    "belongs to another run: its " + std::string(name) + " is " + theirs +
                        ", that of this run other");
  }
  EXPECT_EQ(read_bytes(place / "run.h5"), before);
  EXPECT_FALSE(std::filesystem::exists(place / "run.lock"));
  write_h5_atomically(place / "run.h5", [](H5File& file) { file.set_attribute("schema", 9); });
  EXPECT_CONTAINS(message_of<UserError>([&] { RunFolder(place.path(), first_run); }),
                  "run.h5: has run schema 9; this program knows 1");
  write_bytes(place / "run.h5", "nothing");
  EXPECT_CONTAINS(message_of<UserError>([&] { RunFolder(place.path(), first_run); }),
                  "run.h5: is damaged or no run file");
  std::filesystem::remove(place / "run.h5");
  write_block(place / "blocks/0000.h5", block(0));
  EXPECT_CONTAINS(message_of<UserError>([&] { RunFolder(place.path(), first_run); }),
                  "holds blocks but no run.h5");
}

TEST(RunFolder, OpenNeedsARunAndChangesNothingOfIt) {
  const TemporaryFolder place;
  EXPECT_CONTAINS(message_of<UserError>([&] { RunFolder::open(place / "none"); }),
                  "run.h5: cannot be read: No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(place / "none"));
  { RunFolder folder(place.path(), first_run); }
  const std::string before = read_bytes(place / "run.h5");
  { RunFolder folder = RunFolder::open(place.path()); }
  EXPECT_EQ(read_bytes(place / "run.h5"), before);
}

TEST(RunFolder, SecondProcessIsRefused) {
  const TemporaryFolder place;
  RunFolder folder(place.path(), first_run);
  write_bytes(place / "blocks/0000.h5.partial", "being written");
  EXPECT_CONTAINS(message_of<UserError>([&] { RunFolder(place.path(), first_run); }),
                  "this run is already in work by process " + std::to_string(::getpid()) + " on " +
                      host_name());
  EXPECT_TRUE(std::filesystem::exists(place / "blocks/0000.h5.partial"));  // not swept away
}

TEST(RunFolder, OnWhatIsNoFolderEndsBeforeAnyWork) {
  const TemporaryFolder place;
  write_bytes(place / "file", "");
  EXPECT_CONTAINS(message_of<FileSystemError>([&] { RunFolder(place / "file", first_run); }),
                  "file/blocks: cannot be created: Not a directory");
}

TEST(RunFolder, BlockNumbersHaveFourDigitsOrMore) {
  EXPECT_EQ(block_file_name(0), "0000.h5");
  EXPECT_EQ(block_file_name(123456), "123456.h5");
  EXPECT_THROW(block_file_name(-1), Bug);
}

TEST(RunLog, LinesAreJsonAndFollowWhatAKilledRunLeft) {
  const TemporaryFolder place;
  write_bytes(place / "log.jsonl", "{\"event\": \"ha");
  RunLog log(place / "log.jsonl");
  log.add("block",
          {{"block", std::int64_t{3}}, {"loss", 0.5}, {"worst", NAN}, {"layer", "a \"b\"\n\xff"}});
  RunLog(place / "log.jsonl").add("done", {});
  std::ifstream file(place / "log.jsonl");
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "{\"event\": \"ha");
  std::getline(file, line);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("event"), "block");
  EXPECT_EQ(json.at("block"), 3);
  EXPECT_EQ(json.at("loss"), 0.5);
  EXPECT_TRUE(json.at("worst").is_null());
  EXPECT_EQ(json.at("time").get<std::string>().size(), 20u);
  std::getline(file, line);
  EXPECT_EQ(nlohmann::json::parse(line).at("event"), "done");
  EXPECT_FALSE(std::getline(file, line));
  EXPECT_THROW(RunLog(place / "no/log.jsonl"), FileSystemError);
}

TEST(RunState, ComesBackWithWhoAndWhen) {
  const TemporaryFolder place;
  RunState written;
  written.state = "running";
  written.blocks_done = 3;
  written.blocks = 16;
  written.eta_seconds = 12.5;
  written.words = "why";
  written.core_seconds = 7.5;
  written.peak_memory_bytes = 1LL << 40;
  write_state(place / "state.json", written);
  const RunState state = read_state(place / "state.json");
  EXPECT_EQ(state.state, "running");
  EXPECT_EQ(state.blocks_done, 3);
  EXPECT_EQ(state.blocks, 16);
  EXPECT_EQ(state.eta_seconds, 12.5);
  EXPECT_EQ(state.host, host_name());
  EXPECT_EQ(state.pid, ::getpid());
  EXPECT_EQ(state.updated.size(), 20u);
  EXPECT_EQ(state.words, "why");
  EXPECT_EQ(state.core_seconds, 7.5);
  EXPECT_EQ(state.peak_memory_bytes, 1LL << 40);
  replace_in_file(place / "state.json", "\"core_seconds\"", "\"later_seconds\"");
  EXPECT_EQ(read_state(place / "state.json").core_seconds, 0) << "files of earlier versions";
  replace_in_file(place / "state.json", "\"schema\": 1", "\"schema\": 2");
  EXPECT_CONTAINS(message_of<UserError>([&] { read_state(place / "state.json"); }),
                  "is of schema 2, this version reads 1");
  write_bytes(place / "state.json", "{}");
  EXPECT_CONTAINS(message_of<UserError>([&] { read_state(place / "state.json"); }),
                  "no state file");
}

}  // namespace
}  // namespace constrictor::io
