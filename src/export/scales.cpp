// SPDX-License-Identifier: Apache-2.0
#include "export/scales.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "core/parallel.hpp"
#include "data/words.hpp"
#include "io/stored_numbers.hpp"

namespace constrictor::exports {
namespace {

constexpr Index rows_together = 64;
constexpr Index fit_into_int = 16384;  // squares of 8 bits that an int can add up

std::string quoted_expression(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == '.') text += '\\';
    text += c;
  }
  return text;
}

}  // namespace

Rounding scale_rounding(const QuantizedLayer& layer, DType dtype) {
  const Index out = layer.codes.rows(), groups = layer.scale.cols(),
              width = layer.codes.cols() / groups;
  std::vector<Rounding> parts(static_cast<std::size_t>(pieces(out, rows_together)));
  parallel_for(pieces(out, rows_together), [&](Index t) {
    const Piece rows = piece(out, rows_together, t);
    Rounding& part = parts[static_cast<std::size_t>(t)];
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index g = 0; g < groups; ++g) {
        const std::uint8_t* codes = layer.codes.row(r) + g * width;
        const int zero = static_cast<int>(layer.zero(r, g));
        double squares = 0;
        for (Index first = 0; first < width; first += fit_into_int) {
          int sum = 0;
          for (Index c = first; c < std::min(width, first + fit_into_int); ++c) {
            const int step = codes[c] - zero;
            sum += step * step;
          }
          squares += sum;
        }
        const double scale = layer.scale(r, g);
        const double change = io::as_stored(dtype, layer.scale(r, g)) - scale;
        part.error += change * change * squares;
        part.size += scale * scale * squares;
      }
  });
  Rounding rounding;
  for (const Rounding& part : parts) rounding.error += part.error, rounding.size += part.size;
  return rounding;
}

Matrix<std::uint8_t> zero_codes(const QuantizedLayer& layer) {
  return converted<std::uint8_t>(layer.zero.view());
}

std::string scale_obstacle(const LayerPlan& plan, DType dtype) {
  if (std::isfinite(io::as_stored(dtype, plan.largest_scale))) return "";
  char text[64];
  std::snprintf(text, sizeof text, "its scale %.4g is beyond ",
                static_cast<double>(plan.largest_scale));
  return text + dtype_word(dtype);
}

std::string dtype_word(DType dtype) { return std::string(word(dtype)); }

std::string expression_for(const std::vector<const LayerPlan*>& plans) {
  const LayerPlan& first = *plans.front();
  const std::string tail = "." + std::to_string(first.block) + "." + first.name;
  // "model.layers.3.mlp.up_proj" -> "layers": what stands before it differs between programs.
  std::string head = first.module.substr(0, first.module.size() - tail.size());
  if (const auto dot = head.rfind('.'); dot != std::string::npos) head.erase(0, dot + 1);
  std::string blocks;
  for (const LayerPlan* plan : plans)
    blocks += (blocks.empty() ? "" : "|") + std::to_string(plan->block);
  if (plans.size() > 1) blocks = "(" + blocks + ")";
  return ".*" + quoted_expression(head) + "\\." + blocks + "\\." + quoted_expression(first.name) +
         "$";
}

std::vector<std::string> expressions_for(const std::vector<LayerPlan>& plans,
                                         const io::StoredScheme& scheme) {
  std::map<std::string, std::vector<const LayerPlan*>> by_name;
  for (const LayerPlan& plan : plans)
    if (plan.scheme == scheme) by_name[plan.name].push_back(&plan);
  std::vector<std::string> expressions;
  for (const auto& [name, members] : by_name) expressions.push_back(expression_for(members));
  return expressions;
}

std::vector<io::StoredScheme> schemes_of(const std::vector<LayerPlan>& plans) {
  std::map<io::StoredScheme, Index> counts;
  for (const LayerPlan& plan : plans) ++counts[plan.scheme];
  std::vector<io::StoredScheme> schemes;
  for (const auto& [scheme, count] : counts) schemes.push_back(scheme);
  std::stable_sort(schemes.begin(), schemes.end(),
                   [&](const auto& a, const auto& b) { return counts.at(a) > counts.at(b); });
  return schemes;
}

}  // namespace constrictor::exports
