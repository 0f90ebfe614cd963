// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a layer goes through after its codes were found: each stage lowers L or leaves it
// (quant/solvers.cpp runs them, results name them).

#include <string>
#include <vector>

#include "data/specs.hpp"

namespace constrictor {

enum class Stage { solver, refine, zeros, polish };

/// solver, refine, zeros, then `polish` times: polish, refine, zeros; without what is switched off.
inline std::vector<Stage> stages_of(const QuantSpec& spec) {
  std::vector<Stage> stages{Stage::solver};
  const auto fit_grids = [&] {
    if (spec.refine_passes > 0) stages.push_back(Stage::refine);
    if (spec.refine_zeros) stages.push_back(Stage::zeros);
  };
  fit_grids();
  for (Index round = 0; round < spec.polish; ++round) {
    stages.push_back(Stage::polish);
    fit_grids();
  }
  return stages;
}

constexpr const char* stage_word(Stage stage) {
  switch (stage) {
    case Stage::solver:
      return "solver";
    case Stage::refine:
      return "refine";
    case Stage::zeros:
      return "zeros";
    case Stage::polish:
      return "polish";
  }
  return "";
}

/// "solver refine polish refine"
inline std::string stage_words(const QuantSpec& spec) {
  std::string words;
  for (const Stage stage : stages_of(spec))
    words += (words.empty() ? "" : " ") + std::string(stage_word(stage));
  return words;
}

}  // namespace constrictor
