// SPDX-License-Identifier: Apache-2.0
#include "schedule/choose_widths.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "core/error.hpp"

namespace constrictor::schedule {
namespace {

double cost_of(const std::vector<WidthOptions>& layers, const std::vector<std::size_t>& chosen) {
  double sum = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) sum += layers[l].cost[chosen[l]];
  return sum;
}
Index bits_of(const std::vector<WidthOptions>& layers, const std::vector<std::size_t>& chosen) {
  Index sum = 0;
  for (std::size_t l = 0; l < layers.size(); ++l)
    sum += layers[l].weights * layers[l].bits[chosen[l]];
  return sum;
}

/// Every combination.
double best_cost(const std::vector<WidthOptions>& layers, Index most_bits) {
  std::vector<std::size_t> chosen(layers.size(), 0);
  double best = std::numeric_limits<double>::infinity();
  for (;;) {
    if (bits_of(layers, chosen) <= most_bits) best = std::min(best, cost_of(layers, chosen));
    std::size_t l = 0;
    while (l < layers.size() && ++chosen[l] == layers[l].bits.size()) chosen[l++] = 0;
    if (l == layers.size()) return best;
  }
}

/// Sizes from a list; costs fall with the width, mostly.
std::vector<WidthOptions> random_layers(std::mt19937& draw, const std::vector<Index>& sizes) {
  std::uniform_real_distribution<double> cost(0, 1);
  std::vector<WidthOptions> layers;
  for (std::size_t l = 0; l < 7; ++l) {
    WidthOptions layer{sizes[draw() % sizes.size()], {2, 3, 4, 8}, {}};
    if (l == 3) layer.bits = {3};  // set by the deck
    for (const int bits : layer.bits) layer.cost.push_back(cost(draw) / bits);
    layers.push_back(layer);
  }
  return layers;
}

TEST(ChooseWidths, AsGoodAsEveryCombination) {
  std::mt19937 draw(1);
  for (int round = 0; round < 20; ++round) {
    const auto layers = random_layers(draw, {128 * 128, 64 * 128, 352 * 128});
    Index weights = 0;
    for (const auto& layer : layers) weights += layer.weights;
    for (const double average : {3.0, 3.3, 4.5, 8.0}) {
      const auto most = static_cast<Index>(average * static_cast<double>(weights));
      const auto chosen = choose_widths(layers, most);
      EXPECT_LE(bits_of(layers, chosen), most);
      EXPECT_NEAR(cost_of(layers, chosen), best_cost(layers, most), 1e-12) << average;
    }
  }
}

TEST(ChooseWidths, SizesWithoutACommonDivisorKeepToTheBudget) {
  std::mt19937 draw(2);
  const auto layers = random_layers(draw, {10000019, 7000003, 999983});
  Index weights = 0;
  for (const auto& layer : layers) weights += layer.weights;
  const Index most = 7 * weights / 2;
  const auto chosen = choose_widths(layers, most);
  EXPECT_LE(bits_of(layers, chosen), most);
  EXPECT_NEAR(cost_of(layers, chosen), best_cost(layers, most - most / 10000), 1e-12);
}

TEST(ChooseWidths, TiesGoToTheNarrowerWidthOfTheLaterLayer) {
  const WidthOptions same{10, {2, 4}, {1, 0}};
  EXPECT_EQ(choose_widths({same, same, same}, 80), (std::vector<std::size_t>{1, 0, 0}));
  const WidthOptions flat{10, {2, 3}, {1, 1}};
  EXPECT_EQ(choose_widths({flat, flat}, 60), (std::vector<std::size_t>{0, 0}));
}

TEST(ChooseWidths, ABudgetBelowTheNarrowestIsRefused) {
  EXPECT_THROW(choose_widths({{10, {2, 3}, {1, 0}}, {10, {3}, {0}}}, 49), UserError);
  EXPECT_EQ(choose_widths({{10, {2, 3}, {1, 0}}, {10, {3}, {0}}}, 50),
            (std::vector<std::size_t>{0, 0}));
}

}  // namespace
}  // namespace constrictor::schedule
