// SPDX-License-Identifier: Apache-2.0
// The pieces of the grid search one by one, against plain loops.
#include "kernels/column_sweep.hpp"
#include "kernels/grid_candidates.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::kernels {
namespace {

using quant::random_matrix;

struct CandidatesOnDevice : test::OnDevice {
  static constexpr float top = 7;
  static constexpr Index rows = 5;
  /// Weights of n inputs with their ranges; some candidates in no particular order.
  struct Given {
    Matrix<float> W;
    device::DeviceMatrix<float> w;
    Matrix<GridRange> ranges;
    device::DeviceMatrix<GridRange> device_ranges;
    std::vector<std::int32_t> items;
    device::DeviceMatrix<std::int32_t> device_items;
    Index count() const { return Index(items.size()); }
    Candidates candidates() const {
      return {device_items.data(), count(), device_ranges.view(), top};
    }
    const GridRange& range(std::size_t i) const { return ranges(row_of(items[i]), 0); }
    float scale(std::size_t i) const {
      return shrunk_scale<float>(range(i).low, range(i).high, shrink_of(items[i]), top);
    }
    float zero(std::size_t i) const { return range(i).zeros[zero_of(items[i])]; }
    float code(std::size_t i, Index c) const {
      return code_of<float>(W(row_of(items[i]), c), scale(i), zero(i), top);
    }
  };
  Given given(Index n, Index count) {
    Given g;
    g.W = random_matrix<float>(rows, n, unsigned(n + 1));
    g.w = to_device(g.W);
    g.device_ranges = {gpu, rows, 1, "ranges"};
    grid_ranges(gpu.main(), g.w.view(), n, ZeroPoints::two, top, g.device_ranges.view());
    g.ranges = to_host(g.device_ranges);
    for (Index i = 0; i < count; ++i)
      g.items.push_back(grid_candidate(i * 7 % rows, i * 31 % 100, i % 2));
    g.device_items = device::uploaded(gpu, g.items, "candidates");
    return g;
  }
};

TEST_F(CandidatesOnDevice, NumbersComeBackFromTheirBits) {
  for (const Index row : {Index{0}, Index{1}, Index{1023}, most_candidate_rows - 1})
    for (const Index shrink : {0, 1, 99})
      for (const Index zero : {0, 1}) {
        const auto item = grid_candidate(row, shrink, zero);
        EXPECT_EQ(row_of(item), row);
        EXPECT_EQ(shrink_of(item), shrink);
        EXPECT_EQ(zero_of(item), zero);
      }
}

TEST_F(CandidatesOnDevice, AllOfThemInTheOrderOfTheSearch) {
  for (const Index zero_points : {1, 2})
    for (const Index n_rows : {1, 3}) {
      const Index each = 100 * zero_points;
      device::DeviceMatrix<std::int32_t> items(gpu, 1, n_rows * each, "items"),
          first(gpu, 1, n_rows + 1, "first");
      all_candidates(gpu.main(), n_rows, zero_points, items.data(), first.data());
      const auto found = to_host(items), begins = to_host(first);
      Index i = 0;
      for (Index r = 0; r < n_rows; ++r) {
        EXPECT_EQ(begins(0, r), i);
        for (Index shrink = 0; shrink < 100; ++shrink)
          for (Index zero = 0; zero < zero_points; ++zero)
            ASSERT_EQ(found(0, i++), grid_candidate(r, shrink, zero));
      }
      EXPECT_EQ(begins(0, n_rows), i);
    }
}

TEST_F(CandidatesOnDevice, CodesErrorsAndScores) {
  for (const Index n : {1, 8, 13, 261})
    for (const Index count : {1, 19}) {
      const auto g = given(n, count);
      const Index pitch = (n + 7) / 8 * 8;
      device::DeviceMatrix<bfloat16> Z(gpu, count, pitch, "Z");
      device::DeviceMatrix<float> E(gpu, count + 3, n, "E"), products(gpu, 1, count, "products");
      shifted_codes(gpu.main(), g.w.view(), g.candidates(), Z.view());
      candidate_errors(gpu.main(), g.w.view(), g.candidates(), E.view());
      row_products(gpu.main(), read_only(E.view()), read_only(E.view()), count, products.data());
      // |s y - h|^2 on top of 1, with W for y and h
      Matrix<float> Y = random_matrix<float>(count, n, 3), ones(1, count);
      ones.fill(1);
      const auto y = to_device(Y);
      auto scores = to_device(ones);
      add_misses(gpu.main(), y.view(), g.w.view(), g.candidates(), scores.data());

      const auto codes = to_host(Z);
      const auto errors = to_host(E), found = to_host(scores), squares = to_host(products);
      for (std::size_t i = 0; i < g.items.size(); ++i) {
        const Index r = Index(i), row = row_of(g.items[i]);
        double score = 1, square = 0;
        for (Index c = 0; c < pitch; ++c) {
          const float expected = c < n ? g.code(i, c) - g.zero(i) : 0.f;
          ASSERT_EQ(float(codes(r, c)), expected) << i << " " << c;
          if (c >= n) continue;
          ASSERT_NEAR(errors(r, c), g.scale(i) * expected - g.W(row, c), 1e-6);
          const double miss = double(g.scale(i)) * double(Y(r, c)) - double(g.W(row, c));
          score += miss * miss;
          square += double(errors(r, c)) * double(errors(r, c));
        }
        EXPECT_NEAR(double(found(0, r)) / score, 1, 1e-5);
        EXPECT_NEAR(double(squares(0, r)) / square, 1, 1e-6);
      }
      for (Index r = count; r < count + 3; ++r)
        for (Index c = 0; c < n; ++c) ASSERT_EQ(errors(r, c), 0.f);
    }
}

/// Three rows with made-up scores; row 1 has no candidates, row 3 is a row of zeros.
TEST_F(CandidatesOnDevice, ChoicesAndSurvivors) {
  const auto g = given(4, 0);
  const std::vector<std::int32_t> items{grid_candidate(0, 0, 0), grid_candidate(0, 0, 1),
                                        grid_candidate(0, 1, 0), grid_candidate(2, 3, 0),
                                        grid_candidate(2, 4, 0), grid_candidate(3, 0, 0),
                                        grid_candidate(3, 1, 0), grid_candidate(4, 9, 1)};
  const std::vector<float> scores{9, 4, 4, 1, 1.21f, 0, 0, 25};
  const std::vector<std::int32_t> first{0, 3, 3, 5, 7, 8};
  const auto device_items = device::uploaded(gpu, items, "items"),
             device_first = device::uploaded(gpu, first, "first");
  const auto device_scores = to_device(scores);
  const CandidateRows list{{device_items.data(), 8, g.device_ranges.view(), top},
                           device_first.data(),
                           device_scores.data()};
  Matrix<std::int32_t> untouched(1, rows);
  untouched.fill(-1);
  auto best = to_device(untouched);
  device::DeviceMatrix<float> smallest(gpu, 1, rows, "smallest"), limit(gpu, 1, rows, "limit");
  device::set_zero<float>(smallest.view(), gpu.main());
  best_candidates(gpu.main(), list, best.data(), smallest.data());
  const auto chosen = to_host(best);
  EXPECT_EQ(chosen(0, 0), items[1]);  // the first of two equals
  EXPECT_EQ(chosen(0, 1), -1);
  EXPECT_EQ(chosen(0, 2), items[3]);
  EXPECT_EQ(chosen(0, 3), items[5]);
  EXPECT_EQ(chosen(0, 4), items[7]);
  EXPECT_EQ(to_host(smallest)(0, 4), 25.f);

  Matrix<float> slack(rows, 2);
  for (Index r = 0; r < rows; ++r) slack(r, 0) = r == 3 ? 0.f : 0.04f;
  const auto device_slack = to_device(slack);
  const ScoreError error{device_slack.view(), 0.01f};
  score_limits(gpu.main(), list, error, limit.data());
  const auto limits = to_host(limit);
  EXPECT_NEAR(limits(0, 0), 2 + 0.04 + 0.02, 1e-6);  // roots
  EXPECT_NEAR(limits(0, 2), 1 + 0.04 + 0.01, 1e-6);
  EXPECT_EQ(limits(0, 1), INFINITY);

  // 1.1 - 0.04 - 0.011 <= 1.05: in doubt; 3 is not. One alone is not asked again.
  for (const Index fewest : {1, 2}) {
    device::DeviceMatrix<std::int32_t> counts(gpu, 1, rows, "counts");
    const Survival survival{error, limit.data(), fewest};
    count_survivors(gpu.main(), list, survival, counts.data());
    const auto kept = to_host(counts);
    const std::int32_t alone = fewest == 1 ? 1 : 0, expected[rows] = {2, 0, 2, alone, alone};
    std::vector<std::int32_t> begins{0};
    for (Index r = 0; r < rows; ++r) {
      EXPECT_EQ(kept(0, r), expected[r]) << r;
      begins.push_back(begins.back() + expected[r]);
    }
    const auto device_begins = device::uploaded(gpu, begins, "begins");
    device::DeviceMatrix<std::int32_t> left(gpu, 1, begins.back(), "left");
    device::DeviceMatrix<float> left_scores(gpu, 1, begins.back(), "left scores");
    write_survivors(gpu.main(), list, survival, device_begins.data(), left.data(),
                    left_scores.data());
    const auto found = to_host(left);
    const auto found_scores = to_host(left_scores);
    const std::vector<std::size_t> from = fewest == 1 ? std::vector<std::size_t>{1, 2, 3, 4, 5, 7}
                                                      : std::vector<std::size_t>{1, 2, 3, 4};
    ASSERT_EQ(begins.back(), std::int32_t(from.size()));
    for (std::size_t i = 0; i < from.size(); ++i) {
      EXPECT_EQ(found(0, Index(i)), items[from[i]]);
      EXPECT_EQ(found_scores(0, Index(i)), scores[from[i]]);
    }
  }
}

TEST_F(CandidatesOnDevice, ErrorsOfScoresAndGridsOfTheChosen) {
  const auto g = given(9, rows);
  const std::vector<float> weight{1, 4, 0, 9, 16}, target{25, 0, 0, 1, 4};
  const auto device_weight = to_device(weight), device_target = to_device(target);
  device::DeviceMatrix<float> row(gpu, rows, 2, "errors"), scale(gpu, rows, 1, "scale"),
      zero(gpu, rows, 1, "zero");
  score_error_rows(gpu.main(), {device_weight.data(), device_target.data(), 0.5f, 0.25f, 9},
                   row.view());
  std::vector<std::int32_t> best;
  for (Index r = 0; r < rows; ++r) best.push_back(grid_candidate(r, 10 * r, r % 2));
  const auto device_best = device::uploaded(gpu, best, "best");
  write_grids(gpu.main(), device_best.data(), g.device_ranges.view(), top, scale.view(),
              zero.view());
  const auto error = to_host(row), s = to_host(scale), z = to_host(zero);
  for (Index r = 0; r < rows; ++r) {
    EXPECT_FLOAT_EQ(error(r, 0), 0.5f * std::sqrt(weight[std::size_t(r)]) +
                                     0.5f * std::sqrt(target[std::size_t(r)]));
    EXPECT_FLOAT_EQ(error(r, 1), 0.75f);  // sqrt(9) / 2 * 0.5
    EXPECT_EQ(s(r, 0), shrunk_scale<float>(g.ranges(r, 0).low, g.ranges(r, 0).high, 10 * r, top));
    EXPECT_EQ(z(r, 0), g.ranges(r, 0).zeros[r % 2]);
  }
}

}  // namespace
}  // namespace constrictor::kernels
