// SPDX-License-Identifier: Apache-2.0
#include "quant/learned_rounding.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "core/stop_flag.hpp"
#include "core/threads.hpp"
#include "golden.hpp"
#include "kernels/learned_rounding.hpp"
#include "quant/loss.hpp"
#include "quant/solvers.hpp"
#include "random_problem.hpp"

namespace constrictor::quant {
namespace {

QuantSpec aespa(int bits, Index steps) {
  QuantSpec spec;
  spec.method = Method::aespa;
  spec.bits = bits;
  spec.drift = Drift::none;
  spec.refine_passes = 0;
  spec.rounding_steps = steps;
  return spec;
}

/// One head with everything: groups, drift, an output side.
struct Head {
  Matrix<double> W = random_matrix<double>(6, 16, 1), D = random_matrix<double>(16, 16, 2);
  InputSide<double> input =
      hessian::factor_input<double>(random_hessian<double>(16, 3).view(), D.view(),
                                    {.drift = Drift::sequential, .alpha = 0.1}, "test");
  OutputSide<double> output = hessian::factor_output<double>(random_hessian<double>(6, 4).view(),
                                                             0.01, Order::original, "test");
};

TEST(LearnedRounding, GradientEqualsFiniteDifferences) {
  const Head head;
  const Index rows = 6, in = 16, size = 8;
  const double beta = 3, lambda = 0.7, unit = 2.5;
  const Objective<double> objective(head.W.view(), head.input.H.view(), head.input.D.view(),
                                    head.output.H.view());
  Matrix<double> scale(rows, 2), share(rows, 1), low = random_matrix<double>(rows, in, 5);
  scale.fill(0.4);
  share.fill(2 / unit);
  auto v = random_matrix<double>(rows, in, 6);
  Matrix<double> offset(rows, in);
  for (Index i = 0; i < low.size(); ++i) offset.data()[i] = low.data()[i] - head.W.data()[i];

  const auto h = [](double x) { return std::clamp(1.2 / (1 + std::exp(-x)) - 0.1, 0., 1.); };
  const auto value = [&](const Matrix<double>& at) {
    Matrix<double> Q(rows, in);
    double undecided = 0;
    for (Index i = 0; i < Q.size(); ++i) {
      Q.data()[i] = low.data()[i] + 0.4 * h(at.data()[i]);
      undecided += 1 - std::pow(std::abs(2 * h(at.data()[i]) - 1), beta);
    }
    const auto QH = objective.input_product(Q.view());
    return objective.loss(Q.view(), QH.view()) / unit + lambda * undecided;
  };

  Matrix<double> sigmoid(rows, in), mean(rows, in), square(rows, in), error(rows, in);
  const kernels::RoundingTerms<double> terms{scale.view(), size, offset.view(), share.view()};
  const kernels::RoundingState<double> state{v.view(), sigmoid.view(), mean.view(), square.view(),
                                             error.view()};
  const auto before = v;
  kernels::set_rounding(terms, state);
  Matrix<double> Q(rows, in);
  for (Index i = 0; i < Q.size(); ++i) Q.data()[i] = error.data()[i] + head.W.data()[i];
  auto G = objective.residual(objective.input_product(Q.view()).view());
  for (double& g : G.values()) g = -g;
  kernels::rounding_step<double>(
      {.rate = 0.1, .first = 0.1, .second = 0.001, .lambda = lambda, .beta = beta}, terms,
      read_only(G.view()), state);
  for (Index i = 0; i < v.size(); ++i) {
    const double gradient = mean.data()[i] / 0.1;  // Adam's first mean
    auto up = before, down = before;
    up.data()[i] += 1e-6;
    down.data()[i] -= 1e-6;
    EXPECT_NEAR(gradient, (value(up) - value(down)) / 2e-6, 1e-6 * (1 + std::abs(gradient))) << i;
    // Adam's first step has the length of the rate and goes downhill.
    if (std::abs(gradient) < 1e-3) continue;
    EXPECT_NEAR(v.data()[i] - before.data()[i], gradient > 0 ? -0.1 : 0.1, 1e-6) << i;
  }
}

TEST(LearnedRounding, FloatStepsFollowDoubleSteps) {
  const Index rows = 3, in = 40;
  const auto run = [&]<class T>(T) {
    Matrix<T> scale(rows, 1), share(rows, 1), sigmoid(rows, in), mean(rows, in), square(rows, in),
        error(rows, in);
    scale.fill(T(0.3));
    share.fill(T(0.5));
    auto v = random_matrix<T>(rows, in, 7);
    const auto offset = random_matrix<T>(rows, in, 8), G = random_matrix<T>(rows, in, 9);
    const kernels::RoundingTerms<T> terms{scale.view(), in, offset.view(), share.view()};
    const kernels::RoundingState<T> state{v.view(), sigmoid.view(), mean.view(), square.view(),
                                          error.view()};
    kernels::set_rounding(terms, state);
    for (int t = 1; t <= 20; ++t)
      kernels::rounding_step<T>({.rate = T(0.05),
                                 .first = T(1 - std::pow(0.9, t)),
                                 .second = T(1 - std::pow(0.999, t)),
                                 .lambda = T(t > 5 ? 1.5 : 0),
                                 .beta = T(21 - t)},
                                terms, G.view(), state);
    return error;
  };
  const auto fast = run(float{});
  const auto slow = run(double{});
  for (Index i = 0; i < fast.size(); ++i) EXPECT_NEAR(fast.data()[i], slow.data()[i], 1e-3) << i;
}

TEST(LearnedRounding, NeverAboveItsStartOnAnyGoldenLayer) {
  const auto file = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  double logs = 0;
  Index layers = 0, undecided = 0, weights = 0;
  for (const char* block : {"block_0", "block_2"})
    for (const auto& name : file.group(block).names()) {
      GoldenLayer<float> layer(file.group(block), name, "boa_int2");
      layer.spec.method = Method::aespa;
      layer.spec.rounding_steps = 300;
      layer.spec.rounding_rate = 0.05;
      double before = 0, after = 0;
      for (Index h = 0; h < layer.heads; ++h) {
        const auto input = layer.input(layer.sides > 1 ? h : 0);
        OutputSide<float> output;
        if (layer.two_sided) output = layer.output(h);
        const auto solution = solve_aespa<float>(page(layer.W, layer.heads, h), input,
                                                 layer.two_sided ? &output : nullptr, layer.spec);
        EXPECT_LE(solution.loss_before, solution.rounding.loss_start * (1 + 1e-6))
            << block << name << h;
        before += solution.rounding.loss_start;
        after += solution.loss_before;
        undecided += solution.rounding.undecided;
        weights += solution.codes.size();
      }
      std::printf("%s %-18s %.4f of its start\n", block, name.c_str(), after / before);
      logs += std::log(after / before);
      ++layers;
    }
  std::printf("geometric mean %.4f, undecided %.2f %%\n", std::exp(logs / double(layers)),
              100. * double(undecided) / double(weights));
  EXPECT_LT(std::exp(logs / double(layers)), 0.85);
  EXPECT_LT(undecided, weights / 50);
}

TEST(LearnedRounding, RowsDoNotDependOnTheirNeighboursOrOnThreads) {
  const auto W = random_matrix<float>(40, 48, 10);
  const auto input =
      hessian::factor_input<float>(random_hessian<float>(48, 11).view(), {}, {}, "t");
  const auto spec = aespa(3, 100);
  const auto together = solve_aespa<float>(W.view(), input, nullptr, spec);
  std::vector<Solution<float>> apart(5);
#pragma omp parallel for
  for (Index i = 0; i < 5; ++i)
    apart[std::size_t(i)] = solve_aespa<float>(W.view().rows_from(8 * i, 8), input, nullptr, spec);
  Index different = 0;
  for (Index r = 0; r < 40; ++r)
    for (Index c = 0; c < 48; ++c)
      different += together.codes(r, c) != apart[std::size_t(r / 8)].codes(r % 8, c);
  EXPECT_LE(different, 40 * 48 / 200);  // products of other shapes round differently
  const auto again = solve_aespa<float>(W.view(), input, nullptr, spec);
  EXPECT_EQ(std::memcmp(again.codes.data(), together.codes.data(), together.codes.bytes()), 0);
  EXPECT_EQ(again.loss_after, together.loss_after);
}

TEST(LearnedRounding, KeepsItsStartWhenItDiverges) {
  const Head head;
  auto spec = aespa(2, 7);
  spec.rounding_rate = 1e4;  // every weight jumps to a side, seven times
  spec.group_size = 8;
  const auto one_sided = solve_aespa<double>(head.W.view(), head.input, nullptr, spec);
  EXPECT_GT(one_sided.rounding.rows_at_start, 0);
  EXPECT_LE(one_sided.loss_after, one_sided.rounding.loss_start);
  const auto head_at_once = solve_aespa<double>(head.W.view(), head.input, &head.output, spec);
  EXPECT_EQ(head_at_once.rounding.rows_at_start, 6);
  EXPECT_EQ(head_at_once.loss_after, head_at_once.rounding.loss_start);
}

TEST(LearnedRounding, StartsAtGptq) {
  const Head head;
  auto spec = aespa(3, 1);
  spec.rounding_rate = 1e-6;
  const auto start = solve_aespa<double>(head.W.view(), head.input, nullptr, spec);
  const auto gptq = solve_gptq<double>(head.W.view(), head.input, nullptr, spec);
  EXPECT_EQ(std::memcmp(start.codes.data(), gptq.codes.data(), gptq.codes.bytes()), 0);
  EXPECT_EQ(start.loss_after, gptq.loss_after);
}

TEST(LearnedRounding, EveryWidthGroupAndDriftImproves) {
  const auto W = random_matrix<float>(24, 64, 12), H = random_hessian<float>(64, 13);
  auto D = random_matrix<float>(64, 64, 14);
  for (float& d : D.values()) d *= 0.02f;
  for (const Drift drift : {Drift::none, Drift::sequential, Drift::exact})
    for (const int bits : {2, 4, 8})
      for (const bool symmetric : {false, true}) {
        const auto input = hessian::factor_input<float>(H.view(), D.view(),
                                                        {.drift = drift,
                                                         .alpha = 0.5,
                                                         .column_order = Order::descending,
                                                         .shift_wanted = drift == Drift::exact},
                                                        "t");
        auto spec = aespa(bits, 200);
        spec.rounding_rate = 0.05;
        spec.drift = drift;
        spec.symmetric = symmetric;
        spec.group_size = bits == 4 ? 16 : 0;
        const auto solution = solve_aespa<float>(W.view(), input, nullptr, spec);
        EXPECT_LT(solution.loss_after, solution.rounding.loss_start)
            << bits << " " << symmetric << " " << int(drift);
      }
}

TEST(LearnedRounding, LeavesWhenAsked) {
  const Head head;
  request_stop(10);
  EXPECT_THROW(solve_aespa<double>(head.W.view(), head.input, nullptr, aespa(2, 5)), Preempted);
  request_stop(0);
}

}  // namespace
}  // namespace constrictor::quant
