// SPDX-License-Identifier: Apache-2.0
#include "io/bench_file.hpp"

#include <gtest/gtest.h>

#include "io/json_section.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

BenchReport small_report() {
  BenchReport report;
  report.shape = "demo";
  report.seed = 7;
  report.blocks.push_back({0, false, {{"statistics", 2, 8e9, 0, 1e10}, {"solve", 1, 1e9, 5, 0}}});
  report.blocks.push_back({1, true, {{"statistics", 4, 8e9, 0, 1e10}}});
  return report;
}

TEST(BenchFile, HoldsRatesAndShares) {
  const TemporaryFolder folder;
  BenchReport report = small_report();
  report.model_seconds = 11;
  report.scaling.push_back({4, {{"solve", 2.}, {"serial", 1.}}, 3, "solve"});
  write_bench(folder / "bench.json", report);
  const auto json = read_json(folder / "bench.json");
  const auto& first = json.at("blocks").at(0);
  EXPECT_EQ(first.at("seconds"), 3.);
  EXPECT_EQ(first.at("drift"), false);
  EXPECT_EQ(first.at("phases").at(0).at("operations_per_second"), 4e9);
  EXPECT_EQ(first.at("phases").at(0).at("share_of_peak"), 0.4);
  EXPECT_EQ(first.at("phases").at(1).at("share_of_peak"), 0.);  // no peak, no share
  EXPECT_EQ(json.at("blocks").at(1).at("drift"), true);
  EXPECT_EQ(json.at("seed"), 7);
  EXPECT_EQ(json.at("model_seconds"), 11.);
  EXPECT_EQ(json.at("scaling").at(0).at("limit"), "solve");
  EXPECT_EQ(json.at("scaling").at(0).at("seconds_by_phase").at("serial"), 1.);
}

TEST(BenchFile, WhatWasNotMeasuredIsNotWritten) {
  const TemporaryFolder folder;
  write_bench(folder / "bench.json", small_report());
  const auto json = read_json(folder / "bench.json");
  EXPECT_TRUE(json.at("model_seconds").is_null());
  EXPECT_FALSE(json.contains("scaling"));
  EXPECT_THROW(write_bench(folder / "missing" / "bench.json", small_report()), FileSystemError);
}

}  // namespace
}  // namespace constrictor::io
