// SPDX-License-Identifier: Apache-2.0
// The solvers against tests/oracle/solvers.h5: statistics of 14 layers and what an independent
// float64 implementation makes of them with 15 option sets (its README has the conventions).
#include "golden.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "quant/solvers.hpp"

namespace constrictor::quant {
namespace {

struct Outcome {
  Index equal = 0, entries = 0;
  double loss = 0, loss_before = 0, scale = 0;
};

template <class T>
Outcome run_layer(const io::H5Group& block, const std::string& name, const std::string& set) {
  const GoldenLayer<T> layer(block, name, set);
  const auto codes = layer.expected.template matrix<std::uint8_t>("codes");

  Outcome outcome;
  InputSide<T> input;
  for (Index h = 0; h < layer.heads; ++h) {
    if (h == 0 || layer.sides > 1) input = layer.input(h);
    OutputSide<T> output;
    if (layer.two_sided) output = layer.output(h);
    const auto solution = solve_turboboa<T>(page(layer.W, layer.heads, h), input,
                                            layer.two_sided ? &output : nullptr, layer.spec);
    const auto wanted = page(codes, layer.heads, h);
    for (Index r = 0; r < wanted.rows; ++r)
      for (Index c = 0; c < wanted.cols; ++c) outcome.equal += wanted(r, c) == solution.codes(r, c);
    outcome.entries += wanted.size();
    outcome.loss += solution.loss_after;
    outcome.loss_before += solution.loss_before;
    outcome.scale += solution.loss_scale;
  }
  // A prefix of a beam that ties in the prototype's order of sums may win here.
  const double tolerance = sizeof(T) == 4 ? 1e-2 : layer.spec.beam > 1 ? 1e-3 : 1e-4;
  EXPECT_NEAR(outcome.loss_before / outcome.scale /
                  layer.expected.template attribute<double>("loss_before_refinement"),
              1, tolerance)
      << name << " " << set;
  EXPECT_NEAR(outcome.loss / outcome.scale / layer.expected.template attribute<double>("loss"), 1,
              tolerance)
      << name << " " << set;
  return outcome;
}

template <class T>
class GoldenSolvers : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenSolvers, Scalars);

TYPED_TEST(GoldenSolvers, AgreeOnEverySetAndLayer) {
  using T = TypeParam;
  const auto file = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  const auto sets = file.group("block_0").group("self_attn.q_proj").group("result").names();
  EXPECT_EQ(sets.size(), 17u);
  for (const auto& set : sets) {
    Index equal = 0, entries = 0;
    for (const char* block : {"block_0", "block_2"})
      for (const auto& layer : file.group(block).names()) {
        const auto outcome = run_layer<T>(file.group(block), layer, set);
        equal += outcome.equal;
        entries += outcome.entries;
        EXPECT_GE(double(outcome.equal), (sizeof(T) == 4 ? 0.98 : 0.99) * double(outcome.entries))
            << block << " " << layer << " " << set;
      }
    std::printf("%-24s %s codes equal %.4f %%\n", set.c_str(), sizeof(T) == 4 ? "float " : "double",
                100. * double(equal) / double(entries));
    EXPECT_GE(double(equal), (sizeof(T) == 4 ? 0.995 : 0.999) * double(entries)) << set;
  }
}

}  // namespace
}  // namespace constrictor::quant
