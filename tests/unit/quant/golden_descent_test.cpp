// SPDX-License-Identifier: Apache-2.0
// What refinement, integer descent and zero points make of the codes in tests/oracle/solvers.h5:
// every option lowers L on every layer.
#include <gtest/gtest.h>

#include <cstdio>

#include "golden.hpp"
#include "quant/polish.hpp"
#include "quant/refine.hpp"
#include "quant/zeros.hpp"

namespace constrictor::quant {
namespace {

/// L relative to its scale, over all heads of a layer: as found, and after each option alone.
struct Losses {
  double before = 0, refined = 0, polished = 0, both = 0, zeros = 0, scale = 0;
};

template <class T>
Matrix<T> rows_of(const io::H5Group& group, const char* name, Index parts, Index part) {
  return Matrix<T>(page(group.matrix<T>(name), parts, part));
}

Losses losses_of(const GoldenLayer<float>& layer) {
  Losses sum;
  InputSide<float> input;
  for (Index h = 0; h < layer.heads; ++h) {
    if (h == 0 || layer.sides > 1) input = layer.input(h);
    OutputSide<float> output;
    if (layer.two_sided) output = layer.output(h);
    const Objective<float> L(page(layer.W, layer.heads, h), input.H.view(), input.D.view(),
                             output.H.view());
    Grid<float> grid;
    grid.scale = rows_of<float>(layer.expected, "scale", layer.heads, h);
    grid.zero = rows_of<float>(layer.expected, "zero", layer.heads, h);
    grid.group_size = layer.W.cols() / grid.scale.cols();
    grid.top = static_cast<float>((1 << layer.spec.bits) - 1);
    const Fit<float> start(L, output.order,
                           rows_of<std::uint8_t>(layer.expected, "codes", layer.heads, h), grid);
    auto refined = start, polished = start, zeros = start;
    refine_scales(refined, {.passes = 2});
    polish(polished);
    auto both = refined;
    polish(both);
    refine_scales(both, {.passes = 2});
    if (!layer.spec.symmetric) refine_zeros(zeros);
    sum.before += start.loss;
    sum.refined += refined.loss;
    sum.polished += polished.loss;
    sum.both += both.loss;
    sum.zeros += zeros.loss;
    sum.scale += L.scale();
  }
  return sum;
}

TEST(GoldenDescent, EveryOptionLowersTheLossOfEveryLayer) {
  const auto file = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  std::printf("%-44s %8s %8s %8s %8s %8s\n", "relative loss", "before", "refine", "polish", "both",
              "zeros");
  for (const char* set : {"turboboa_f1f2_int2", "gptq_int3_minmax",
                          "gptq_int4_g32_sym_mse"})  // whose scales have not been refined
    for (const char* block : {"block_0", "block_2"})
      for (const auto& name : file.group(block).names()) {
        const GoldenLayer<float> layer(file.group(block), name, set);
        const auto at = std::string(set) + " " + block + " " + name;
        const auto [before, refined, polished, both, zeros, scale] = losses_of(layer);
        std::printf("%-44s %8.5f %8.5f %8.5f %8.5f %8.5f\n", at.c_str(), before / scale,
                    refined / scale, polished / scale, both / scale, zeros / scale);
        EXPECT_LT(refined, before) << at;
        EXPECT_LT(polished, before) << at;
        EXPECT_LT(both, refined) << at;
        EXPECT_LT(both, polished) << at;
        EXPECT_LE(zeros, before) << at;
      }
}

}  // namespace
}  // namespace constrictor::quant
