// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "campaign/sweep_child.hpp"
#include "campaign/sweep_plan.hpp"
#include "campaign/sweep_progress.hpp"
#include "core/threads.hpp"

namespace constrictor::campaign {
namespace {

namespace fs = std::filesystem;

TEST(SweepCores, AreSharedOutAmongTheJobs) {
  const std::vector<int> cores = {3, 4, 5, 6, 7};
  using Cores = std::vector<int>;
  EXPECT_EQ(cores_of_slot(cores, 0, 1), Cores{}) << "one job may use all";
  EXPECT_EQ(cores_of_slot(cores, 0, 2), (Cores{3, 4}));
  EXPECT_EQ(cores_of_slot(cores, 1, 2), (Cores{5, 6, 7}));
  EXPECT_EQ(cores_of_slot(cores, 4, 5), Cores{7});
  EXPECT_EQ(cores_of_slot(cores, 6, 7), Cores{4}) << "more jobs than cores";
}

TEST(SweepDevices, AreSharedOutAmongTheJobs) {
  EXPECT_EQ(devices_of_slot("", 0, 2), "0,1");
  EXPECT_EQ(devices_of_slot("", 1, 2), "2,3");
  EXPECT_EQ(devices_of_slot("4,7,GPU-a", 1, 1), "7");
  EXPECT_EQ(devices_of_slot("4,7,GPU-a", 1, 2), "GPU-a,4") << "fewer devices than ranks";
}

Sweep sweep_of(std::vector<Method> methods) {
  Sweep sweep;
  for (const Method method : methods) {
    SweepRun& run = sweep.runs.emplace_back();
    run.spec.quant.method = method;
    run.predicted = {10, 1000, 500};
  }
  return sweep;
}

io::RunState done(double core_seconds, std::int64_t ranks, std::int64_t memory, std::int64_t disk) {
  io::RunState state;
  state.state = "done";
  state.core_seconds = core_seconds;
  state.ranks = ranks;
  state.peak_memory_bytes = memory;
  state.disk_bytes = disk;
  return state;
}

TEST(Calibration, ComparesFinishedRunsWithTheirPrediction) {
  Sweep sweep = sweep_of({Method::gptq, Method::gptq, Method::boa, Method::rtn, Method::gptq});
  const double cores = 2. * thread_count();  // of two ranks
  io::RunState failed = done(1, 2, 1, 1);
  failed.state = "failed";
  const std::vector<io::RunState> states = {done(10 * cores, 2, 2000, 400),
                                            done(30 * cores, 1, 9000, 600),
                                            done(40 * cores, 2, 1000, 500),
                                            failed,
                                            {}};
  const Calibration found = calibrate(sweep, states, 2);
  EXPECT_EQ(found.seconds.values, (std::vector<double>{1, 3, 4}));
  EXPECT_EQ(found.seconds.median(), 3);
  EXPECT_EQ(found.seconds_of.at(Method::gptq).median(), 2) << "even numbers: the mean of two";
  EXPECT_EQ(found.seconds.text(), "3.00 (1.00 to 4.00)");
  EXPECT_EQ(found.memory.values, (std::vector<double>{2, 1})) << "of as many ranks only";
  EXPECT_EQ(found.disk.values, (std::vector<double>{0.8, 1.2, 1}));
  apply(found, sweep);
  EXPECT_EQ(sweep.runs[4].predicted.seconds, 20) << "by its method";
  EXPECT_EQ(sweep.runs[3].predicted.seconds, 30) << "no finished run of its method: by all";
  EXPECT_EQ(sweep.runs[3].predicted.bytes_per_rank, 1500);
  EXPECT_EQ(sweep.runs[3].predicted.disk_bytes, 500);
}

TEST(Calibration, WithoutFinishedRunsChangesNothing) {
  Sweep sweep = sweep_of({Method::boa});
  const Calibration found = calibrate(sweep, {{}}, 1);
  EXPECT_EQ(found.seconds.text(), "unknown");
  apply(found, sweep);
  EXPECT_EQ(sweep.runs[0].predicted.seconds, 10);
}

/// A run with a folder of its own.
struct RunInFolder {
  SweepRun run;
  RunInFolder() {
    run.folder =
        (fs::temp_directory_path() / ("constrictor_run_" + std::to_string(::getpid()))).string();
    run.run_id = "0123456789abcdef";
    fs::create_directories(run.folder);
  }
  ~RunInFolder() { fs::remove_all(run.folder); }
  fs::path state() const { return fs::path(run.folder) / "state.json"; }
};

TEST(StoredProgress, IsWhatStateJsonSays) {
  const RunInFolder place;
  EXPECT_EQ(stored_progress(place.run).progress, Progress::waiting);
  const std::pair<const char*, Progress> words[] = {{"done", Progress::done},
                                                    {"failed", Progress::failed},
                                                    {"running", Progress::waiting},
                                                    {"preempted", Progress::waiting},
                                                    {"waiting", Progress::waiting}};
  for (const auto& [word, progress] : words) {
    io::RunState state;
    state.state = word;
    state.words = "why";
    io::write_state(place.state(), state);
    EXPECT_EQ(stored_progress(place.run).progress, progress) << word;
  }
  for (const char* text : {"", "{", "[]"}) {
    std::ofstream(place.state(), std::ios::trunc) << text;
    EXPECT_EQ(stored_progress(place.run).progress, Progress::waiting) << text;
  }
  std::ofstream(place.state(), std::ios::trunc) << R"({"schema": 2, "state": "done"})";
  EXPECT_EQ(stored_progress(place.run).progress, Progress::failed);
  record_failure(place.run, "not ours");
  EXPECT_NE(stored_progress(place.run).words.find("schema 2"), std::string::npos)
      << "files of another schema are left as they are";
}

TEST(StoredProgress, RemembersWhyARunFailedOrWaits) {
  const RunInFolder place;
  record_failure(place.run, "no memory");
  EXPECT_EQ(stored_progress(place.run).progress, Progress::failed);
  EXPECT_EQ(stored_progress(place.run).words, "no memory");
  record_waiting(place.run, "disk full");
  EXPECT_EQ(stored_progress(place.run).progress, Progress::waiting);
  EXPECT_EQ(stored_progress(place.run).words, "disk full");
}

TEST(ProgressOf, ALivingClaimMakesARunRunning) {
  const RunInFolder place;
  Sweep sweep;
  sweep.out = place.run.folder;
  sweep.runs.push_back(place.run);
  const io::ClaimFolder claims(claims_folder(sweep));
  auto claim = io::Claim::take(claims, place.run.run_id);
  ASSERT_TRUE(claim);
  EXPECT_EQ(progress_of(sweep)[0].progress, Progress::running);
  EXPECT_NE(progress_of(sweep)[0].holder.find(std::to_string(::getpid())), std::string::npos);
  claim->release();
  EXPECT_EQ(progress_of(sweep)[0].progress, Progress::waiting);
  io::RunState state;
  state.state = "running";
  io::write_state(place.state(), state);
  EXPECT_EQ(progress_of(sweep)[0].words, "interrupted");
}

}  // namespace
}  // namespace constrictor::campaign
