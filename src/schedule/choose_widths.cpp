// SPDX-License-Identifier: Apache-2.0
#include "schedule/choose_widths.hpp"

#include <cstdint>
#include <limits>
#include <numeric>

#include "core/error.hpp"

namespace constrictor::schedule {
namespace {

constexpr Index most_units = Index{1} << 17;

/// Bits of option `k` above the layer's narrowest.
Index extra_bits(const WidthOptions& layer, std::size_t k) {
  return layer.weights * (layer.bits[k] - layer.bits.front());
}

}  // namespace

std::vector<std::size_t> choose_widths(const std::vector<WidthOptions>& layers, Index most_bits) {
  Index room = most_bits, unit = 0, wanted = 0;
  for (const WidthOptions& layer : layers) {
    CONSTRICTOR_REQUIRE(!layer.bits.empty() && layer.cost.size() == layer.bits.size());
    room -= layer.weights * layer.bits.front();
    for (std::size_t k = 1; k < layer.bits.size(); ++k) unit = std::gcd(unit, extra_bits(layer, k));
    wanted += extra_bits(layer, layer.bits.size() - 1);
  }
  if (room < 0) throw UserError("the narrowest widths take more bits than the budget has");
  room = std::min(room, wanted);
  if (unit == 0) return std::vector<std::size_t>(layers.size(), 0);  // nothing is open
  unit = std::max(unit, (room + most_units - 1) / most_units);
  const auto capacity = static_cast<std::size_t>(room / unit);

  // best[u]: least cost of the layers so far with at most u units; taken[l][u]: what layer l has
  // then.
  std::vector<double> best(capacity + 1, 0.);
  std::vector<std::vector<std::uint8_t>> taken;
  for (const WidthOptions& layer : layers) {
    std::vector<double> next(capacity + 1, std::numeric_limits<double>::infinity());
    auto& choice = taken.emplace_back(capacity + 1, std::uint8_t{0});
    for (std::size_t k = 0; k < layer.bits.size(); ++k) {
      const auto units = static_cast<std::size_t>((extra_bits(layer, k) + unit - 1) / unit);
      for (std::size_t u = units; u <= capacity; ++u)
        if (const double cost = best[u - units] + layer.cost[k]; cost < next[u])
          next[u] = cost, choice[u] = static_cast<std::uint8_t>(k);
    }
    best = std::move(next);
  }
  std::vector<std::size_t> chosen(layers.size());
  std::size_t u = capacity;
  for (std::size_t l = layers.size(); l-- > 0;) {
    chosen[l] = taken[l][u];
    u -= static_cast<std::size_t>((extra_bits(layers[l], chosen[l]) + unit - 1) / unit);
  }
  return chosen;
}

}  // namespace constrictor::schedule
