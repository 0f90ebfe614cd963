// SPDX-License-Identifier: Apache-2.0
// The model against closed forms; tests/regress/test_prediction.py holds it against real runs.
#include "pipeline/memory_model.hpp"

#include <gtest/gtest.h>

#include "core/memory.hpp"
#include "job_of.hpp"

namespace constrictor::pipeline {
namespace {

double bytes_of(const Moment& moment, const std::string& what) {
  for (const MemoryItem& item : moment.items)
    if (item.what == what) return item.bytes;
  return 0;
}

TEST(Moment, AddsUpByWordsAndByWhatBecomesOfFreedMemory) {
  const double large = static_cast<double>(kept_below);
  Moment moment("test");
  moment.add("a", Heap::main, 2, 100);
  moment.add("b", Heap::workers, 3, 10);
  moment.add("a", Heap::main, 2, large);
  moment.add("c", Heap::main, 0, 10);
  ASSERT_EQ(moment.items.size(), 2u);
  EXPECT_EQ(moment.items[0].bytes, 200 + 2 * large);
  EXPECT_EQ(moment.kept[static_cast<std::size_t>(Heap::main)], 200);
  EXPECT_EQ(moment.kept[static_cast<std::size_t>(Heap::workers)], 30);
  EXPECT_EQ(moment.returned, 2 * large);
}

TEST(MemoryModel, StatesAndEndsAreCountedInFloats) {
  const Job job = job_of({});
  const ModelSpec& m = job.model();
  const auto moments = walk_moments(job, shard_of_rank(job, 2, 1), 2);
  const double tokens = static_cast<double>(test_sequences * test_length) / 2;
  EXPECT_EQ(bytes_of(moments[0], "residual streams of the calibration sequences"),
            2 * 4 * tokens * static_cast<double>(m.hidden));
  EXPECT_EQ(bytes_of(moments[0], "embedding and head"),
            2 * 4 * static_cast<double>(m.vocabulary * m.hidden));
}

/// Sets of sums alive in the statistics.
double sets_alive(const Job& job, int ranks) {
  const auto moments = walk_moments(job, shard_of_rank(job, ranks, 0), ranks);
  return bytes_of(moments[1], "sums of statistics") /
         static_cast<double>(bytes_of_sums(largest_sum_shape(job)));
}

TEST(MemoryModel, ExactSumsAreAliveInATreeOfLanes) {
  const Job exact = job_of({});
  EXPECT_EQ(sets_alive(exact, 1), 5);  // 16 lanes: 8 + 4 + 2 + 1 summed up, one in work
  EXPECT_EQ(sets_alive(exact, 4), 3);  // 4 lanes
  EXPECT_EQ(sets_alive(exact, 16), 1);
  Job fast = job_of({});
  fast.spec.run.reduction = Reduction::fast;
  EXPECT_EQ(sets_alive(fast, 1), 1);
}

TEST(MemoryModel, AStepHasTheSumsOfItsPlaceOnly) {
  Job job = job_of({});
  job.spec.quant.gather = Gather::sublayer;
  const ModelSpec& m = job.model();
  const auto moments = walk_moments(job, shard_of_rank(job, 16, 0), 16);
  ASSERT_EQ(moments.size(), 2 + 3 * 4u);
  const auto sums = [&](std::size_t step) {
    return bytes_of(moments[1 + 3 * step], "sums of statistics") / 8;  // with drift
  };
  const auto square = [](Index n) { return static_cast<double>(n * n); };
  EXPECT_EQ(sums(1), square(m.heads * m.head_dim));
  EXPECT_EQ(sums(2), square(m.hidden));
  EXPECT_EQ(sums(3), square(m.feed_forward));
  EXPECT_GT(bytes_of(moments[4], "weights"),  // x's own
            bytes_of(walk_moments(job_of({}), shard_of_rank(job, 16, 0), 16)[1], "weights"));
}

TEST(MemoryModel, HeldOutLanesHaveSumsOfTheirOwn) {
  const Job plain = job_of({});
  Job job = job_of({});
  job.spec.quant.alpha_rule = AlphaRule::held_out;
  const SumShape shape = largest_sum_shape(job);
  const auto sums = [](const Job& of) {
    return bytes_of(walk_moments(of, shard_of_rank(of, 16, 0), 16)[1], "sums of statistics");
  };
  EXPECT_EQ(sums(job) - sums(plain), static_cast<double>(bytes_of_sums(fold_of(shape))));
}

TEST(Steps, LayersOfOnePlaceGoTogether) {
  const std::vector<Role> opt{Role::query, Role::key, Role::value, Role::output, Role::up, Role::down};
  const auto whole = backend::steps_of(Gather::block, opt);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].roles, opt);
  EXPECT_TRUE(whole[0].first && whole[0].last);
  const auto steps = backend::steps_of(Gather::sublayer, opt);
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_EQ(steps[0].roles, (std::vector<Role>{Role::query, Role::key, Role::value}));
  EXPECT_EQ(steps[2].roles, std::vector<Role>{Role::up});
  EXPECT_TRUE(steps[0].first && !steps[0].last && !steps[3].first && steps[3].last);
}

TEST(MemoryModel, DriftIsCountedWhereADeckAsksForIt) {
  EXPECT_TRUE(largest_sum_shape(job_of({})).drift);
  QuantSpec none;
  none.drift = Drift::none;
  EXPECT_FALSE(largest_sum_shape(job_of(none)).drift);
}

TEST(MemoryModel, FactoredSidesOfGptqAreThreeMatricesAPlace) {
  QuantSpec gptq;
  gptq.method = Method::gptq;
  gptq.drift = Drift::none;
  gptq.value_hessian = ValueHessian::input;
  const Job job = job_of(gptq);
  const ModelSpec& m = job.model();
  const auto square = [](Index n) { return static_cast<double>(n * n); };
  const auto moments = walk_moments(job, shard_of_rank(job, 1, 0), 1);
  EXPECT_EQ(bytes_of(moments[2], "factored Hessians"),
            3 * 4 * (2 * square(m.hidden) + square(m.heads * m.head_dim) + square(m.feed_forward)));
}

TEST(MemoryModel, EvaluationHoldsTwoPathsWhenItCompares) {
  Job job = job_of({});
  const auto shard = shard_of_rank(job, 1, 0);
  EXPECT_TRUE(evaluation_moment(job, shard, 1).items.empty());
  job.evaluation.push_back(tokens_of(300));
  const double windows = 300. * test_length * static_cast<double>(job.model().hidden) * 4;
  const std::string streams = "residual streams of the windows";
  EXPECT_EQ(bytes_of(evaluation_moment(job, shard, 1), streams), 2 * windows);
  // Chunks of 2048 tokens, 128 windows, are not cut: 300 windows are 3 chunks, 2 of them on rank 0.
  EXPECT_EQ(bytes_of(evaluation_moment(job, shard, 2), streams), 2 * windows * 256 / 300);
  job.spec.evaluation.kl = false;
  EXPECT_EQ(bytes_of(evaluation_moment(job, shard, 1), streams), windows);
}

TEST(MemoryModel, TheTableAddsUp) {
  Job job = job_of({});
  job.evaluation.push_back(tokens_of(300));
  const auto fullest = fullest_moment(job, shard_of_rank(job, 1, 0), 1);
  double sum = 0;
  for (const MemoryItem& item : fullest.items) {
    EXPECT_GE(item.bytes, 0) << item.what;
    sum += item.bytes;
  }
  EXPECT_NEAR(sum, fullest.bytes, 1e-6 * sum);
  EXPECT_EQ(fullest.items.back().what, "program and libraries");
}

}  // namespace
}  // namespace constrictor::pipeline
