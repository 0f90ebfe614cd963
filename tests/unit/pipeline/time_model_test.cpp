// SPDX-License-Identifier: Apache-2.0
#include "pipeline/time_model.hpp"

#include <gtest/gtest.h>

#include "job_of.hpp"

namespace constrictor::pipeline {
namespace {

TEST(TimeModel, RanksAndFasterProductsShortenWhatIsSharedOut) {
  const Job job = job_of({});
  const auto one = predicted_seconds(job, 1e9, 1), two = predicted_seconds(job, 1e9, 2),
             fast = predicted_seconds(job, 4e9, 1);
  for (const char* phase : {"statistics", "factor", "solve", "advance"}) {
    EXPECT_GT(one.at(phase), 0) << phase;
    EXPECT_DOUBLE_EQ(two.at(phase), one.at(phase) / 2) << phase;
    EXPECT_DOUBLE_EQ(fast.at(phase), one.at(phase) / 4) << phase;
  }
  EXPECT_EQ(one.count("evaluation"), 0u);
}

TEST(TimeModel, StatisticsGrowWithTokensAndSolversDoNot) {
  Job job = job_of({});
  const auto before = predicted_seconds(job, 1e9, 1);
  job.calibration = tokens_of(2 * test_sequences);
  const auto after = predicted_seconds(job, 1e9, 1);
  EXPECT_DOUBLE_EQ(after.at("statistics"), 2 * before.at("statistics"));
  EXPECT_DOUBLE_EQ(after.at("advance"), 2 * before.at("advance"));
  EXPECT_DOUBLE_EQ(after.at("solve"), before.at("solve"));
}

TEST(TimeModel, EvaluationTakesTwicePathsWithKl) {
  Job job = job_of({});
  job.evaluation.push_back(tokens_of(8));
  const double compared = predicted_seconds(job, 1e9, 1).at("evaluation");
  job.spec.evaluation.kl = false;
  EXPECT_DOUBLE_EQ(compared, 2 * predicted_seconds(job, 1e9, 1).at("evaluation"));
}

TEST(TimeModel, ProductsAreMeasured) { EXPECT_GT(measured_flops(), 1e8); }

}  // namespace
}  // namespace constrictor::pipeline
