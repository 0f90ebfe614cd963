// SPDX-License-Identifier: Apache-2.0
// The model against closed forms; runs on the emulated device hold it against the pool's peak.
#include "pipeline/device_memory_model.hpp"

#include <gtest/gtest.h>

#include "job_of.hpp"

namespace constrictor::pipeline {
namespace {

calib::Shard device_shard(const Job& job, int ranks, int rank) {
  return calib::shard_of(job.calibration.sequences(), job.calibration.length(), job.spec.run.lanes,
                         ranks, rank, calib::device_chunk_tokens);
}

double bytes_of(const Job& job, int ranks, const std::string& moment, const std::string& what) {
  for (const DeviceMoment& m : device_moments(job, device_shard(job, ranks, 0), ranks))
    if (m.name == moment)
      for (const MemoryItem& item : m.items)
        if (item.what == what) return item.bytes;
  return 0;
}

double real(Index n) { return static_cast<double>(n); }

TEST(DeviceShard, ChunksAreLongerThanTheProcessorsButNeverCrossLanes) {
  const auto cpu = calib::shard_of(128, 2048, 16, 1, 0);
  const auto gpu = calib::shard_of(128, 2048, 16, 1, 0, calib::device_chunk_tokens);
  EXPECT_EQ(cpu.chunk_sequences, 1);
  EXPECT_EQ(gpu.chunk_sequences, 8);
  const auto chunks = calib::chunks_of_lane(gpu, 3);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].first_sequence, 24);
  EXPECT_EQ(chunks[0].sequences, 8);
}

TEST(DeviceMemoryModel, WeightsOfTwoBlocksInTheTypeOfTheirProducts) {
  Job job = job_of({});
  EXPECT_EQ(bytes_of(job, 1, "statistics", "weights of blocks"), 2 * 4 * block_weights(job));
  job.products = Products::bfloat16;
  EXPECT_EQ(bytes_of(job, 1, "statistics", "weights of blocks"), 2 * 2 * block_weights(job));
}

TEST(DeviceMemoryModel, SumsAreAliveInATreeOfLanesOrOnce) {
  Job job = job_of({});
  const double set = real(bytes_of_sums(largest_sum_shape(job)));
  const auto sums = [&](int ranks) {
    return bytes_of(job, ranks, "statistics", "sums of statistics") / set;
  };
  EXPECT_EQ(sums(1), 5);  // 16 lanes: 8 + 4 + 2 + 1 summed up, one in work
  EXPECT_EQ(sums(16), 1);
  EXPECT_EQ(bytes_of(job, 2, "sum over ranks", "sums on their way"), 0);
  job.spec.run.reduction = Reduction::fast;
  EXPECT_EQ(sums(1), 1);
  EXPECT_EQ(bytes_of(job, 1, "sum over ranks", "sums on their way"), 0);
  EXPECT_EQ(bytes_of(job, 2, "sum over ranks", "sums on their way"), 0.75 * set);
}

TEST(DeviceMemoryModel, FactoredSidesOfGptqAreThreeMatricesAPlace) {
  QuantSpec gptq;
  gptq.method = Method::gptq;
  gptq.drift = Drift::none;
  gptq.value_hessian = ValueHessian::input;
  const Job job = job_of(gptq);
  const ModelSpec& m = job.model();
  const auto square = [](Index n) { return real(n) * real(n); };
  const double places =
      2 * square(m.hidden) + square(m.heads * m.head_dim) + square(m.feed_forward);
  EXPECT_EQ(bytes_of(job, 1, "solvers", "factored Hessians"), 3 * 4 * places);
}

TEST(DeviceMemoryModel, DriftAddsTheTraceOfTheSecondPath) {
  QuantSpec without;
  without.drift = Drift::none;
  const Job one = job_of(without), two = job_of({});
  const ModelSpec& m = one.model();
  const auto chunk = [](const Job& job) {
    return bytes_of(job, 1, "statistics", "a chunk of tokens");
  };
  // A lane holds 2 sequences of 16 tokens. Inputs of the layers, queries, keys, values; the output.
  const Index widths =
      2 * m.hidden + 2 * (m.heads + m.kv_heads) * m.head_dim + m.feed_forward + m.hidden;
  EXPECT_EQ(chunk(two) - chunk(one), 4. * 32 * real(widths));
}

TEST(DeviceMemoryModel, EvaluationHasItsOwnWindows) {
  Job job = job_of({});
  EXPECT_EQ(bytes_of(job, 1, "scores", "logits"), 0);
  job.evaluation.push_back(tokens_of(300));
  const ModelSpec& m = job.model();
  EXPECT_EQ(bytes_of(job, 1, "scores", "embedding and head"),
            (4 + 4) * real(m.vocabulary * m.embedding_width));
  const double both = bytes_of(job, 1, "scores", "logits");
  job.spec.evaluation.kl = false;
  EXPECT_EQ(bytes_of(job, 1, "scores", "logits"), both / 2);
}

TEST(DeviceMemoryModel, TheFullestMomentIsTheLargest) {
  const Job job = job_of({});
  const auto shard = device_shard(job, 1, 0);
  const auto fullest = fullest_device_moment(job, shard, 1);
  EXPECT_FALSE(fullest.items.empty());
  for (const DeviceMoment& m : device_moments(job, shard, 1))
    EXPECT_LE(m.bytes(), fullest.bytes()) << m.name;
}

TEST(DeviceMemoryModel, TooLittleMemoryIsRefusedWithTheKnobOfTheLargestItem) {
  DeviceMoment moment{"statistics", {}};
  moment.add("sums of statistics", 3e9);
  moment.add("weights of blocks", 1e9);
  moment.add("sums of statistics", 1e9);
  EXPECT_NO_THROW(require_device_memory(moment, 5e9, "NVIDIA H100"));
  try {
    require_device_memory(moment, 4.9e9, "NVIDIA H100");
    FAIL() << "not refused";
  } catch (const MemoryError& error) {
    const std::string words = error.what();
    for (const char* expected :
         {"statistics", "4.7 GiB", "3.7 GiB", "NVIDIA H100", "run.reduction: fast", "--force"})
      EXPECT_NE(words.find(expected), std::string::npos) << expected << " in " << words;
  }
}

}  // namespace
}  // namespace constrictor::pipeline
