// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the deck says, as plain numbers; config/ fills it, everybody else reads it.
// Glossary and symbols: the table "Notation" in README.md.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/bfloat16.hpp"
#include "core/matrix.hpp"

namespace constrictor {

enum class Method { rtn, gptq, boa, turboboa, two_stage, aespa, constrictor };
enum class GridSearch { minmax, mse, hessian };
enum class Drift { none, sequential, exact };
enum class Order { original, descending, pivoted };
enum class ValueHessian { attention, input };
enum class RowMetric { none, attention, softmax };
enum class ValueRowMetric { none, output };
enum class Gather { block, sublayer };
enum class AlphaRule { fixed, held_out };
enum class Reduction { exact, fast };

struct ModelChoice {
  std::string path;  // Hugging Face folder
};

struct CalibrationSpec {
  std::string tokens;         // *.tokens.h5
  std::string tokens_sha256;  // when given, the file must have this hash
  Index sequences = 128;      // the first n of the file
};

/// Widths chosen by layer: `bits: {average: 2.5, choices: [2, 3, 4]}`.
struct WidthBudget {
  double average = 0;        // code bits a weight, over all quantized layers at most; 0 = off
  std::vector<int> choices;  // ascending
  bool on() const { return average > 0; }
};

/// How one layer is quantized. Defaults are those of turboboa; config/presets turns the others.
struct QuantSpec {
  Method method = Method::turboboa;
  int bits = 2;          // width of one stored code, 2..8
  WidthBudget budget;    // of layers whose width is still to be chosen; `bits` is a guess then
  Index group_size = 0;  // input channels that share a scale; 0 = a whole row
  bool symmetric = false;
  GridSearch grid = GridSearch::hessian;
  Index rows_at_once = 16;  // N, rows of a head taken together
  Drift drift = Drift::sequential;
  double alpha = 0.25;        // share of the drift D that is corrected, 0..1
  bool adaptive_grid = true;  // false: all grids are fitted before the first row
  Index refine_passes = 1;    // coordinate descent over scales, at most; 0 = off
  double refine_gain = 0;     // ends it after a pass that gained less than this share of the total
  bool refine_zeros = false;  // tries zero points one step away
  Index polish = 0;           // rounds of integer descent over codes, each followed by refinement
  Order column_order = Order::original;
  Order row_order = Order::original;
  Index beam = 1;  // prefixes of a row that the sweep keeps; 1 = one code after the other
  ValueHessian value_hessian = ValueHessian::attention;
  RowMetric row_metric = RowMetric::attention;
  ValueRowMetric value_row_metric = ValueRowMetric::none;
  Index rounding_steps = 2000;   // of learned rounding (aespa)
  double rounding_rate = 0.015;  // its learning rate
  double rounding_lambda = 0;    // weight of its second term; 0 = 1.5 for q, k, v, 1 elsewhere
  double damping = 0.01;         // λ in H <- H + λ mean(diag H) I
  bool fallback_rtn = false;     // plain rounding when a factorization fails for good

  // Of the whole run, not of a layer.
  Gather gather = Gather::block;  // sublayer: statistics again behind each quantized sublayer
  Index metric_positions = 0;     // query positions of a sequence behind `softmax`; 0 = all
  AlphaRule alpha_rule = AlphaRule::fixed;  // held_out: alpha from lanes left out of the sums
  Index held_out_lanes = 2;                 // the last lanes, with alpha_rule: held_out

  /// Overrides by pattern: layer name ("mlp.down_proj") or "3.mlp.down_proj", '*' allowed.
  /// config/ resolves them; see `layer_spec`.
  std::vector<std::pair<std::string, std::map<std::string, std::string>>> overrides;
};

struct EvaluationSpec {
  std::vector<std::string> tokens;  // *.tokens.h5, each one data set
  bool kl = true;                   // KL and top-1 agreement against full precision
};

struct KeepSpec {
  bool statistics = false;  // H_in, D, H_out as used
  Index activations = 0;    // the layers' inputs for the first n tokens
};

struct MachineSpec {
  std::string out = "runs";
  std::string run_dir;  // when given, replaces <out>/<run-id>
  std::string device = "cpu";
  Reduction reduction = Reduction::exact;
  Products products = Products::automatic;  // automatic: bfloat16 products for bfloat16 models
  Index lanes = 16;
  int threads = 0;  // per rank; 0 = cores / ranks on the node
  KeepSpec keep;
};

struct RunSpec {
  ModelChoice model;
  CalibrationSpec calibration;
  QuantSpec quant;
  EvaluationSpec evaluation;
  MachineSpec run;
};

}  // namespace constrictor
