// SPDX-License-Identifier: Apache-2.0
#pragma once
// The deck, key by key: name, place in RunSpec, range, meaning. Reading, writing and the run's
// identity are visitors of this one table (read_fields.hpp, write_fields.hpp), so that they cannot
// drift apart. Words of enums: data/words.hpp. Defaults: data/specs.hpp and presets.hpp.

#include <limits>

#include "data/specs.hpp"

namespace constrictor::config {

constexpr Index no_limit = std::numeric_limits<Index>::max();

/// All keys of `quant` that may also stand below quant.layers.<pattern>.
template <class Field, class Spec>
void visit_layer_keys(Field& field, Spec& spec) {
  field.word("method", spec.method, "", {});
  field.width("bits", spec.bits, spec.budget, 2, 8,
              "of a stored code; or {average: 2.5, choices: [2, 3, 4]}");
  field.integer("group_size", spec.group_size, 0, no_limit,
                "inputs that share a scale; 0 = a whole row");
  field.flag("symmetric", spec.symmetric, "zero point in the middle of the codes");
  field.word("grid", spec.grid, "how scales are searched", {});
  field.integer("rows_at_once", spec.rows_at_once, 1, 4096, "rows of a head taken together");
  field.word("drift", spec.drift, "correction for quantized inputs", {});
  field.number("alpha", spec.alpha, 0, 1, "share of the drift that is corrected");
  field.flag("adaptive_grid", spec.adaptive_grid, "fit scales to weights already corrected");
  field.integer("refine_passes", spec.refine_passes, 0, 100,
                "coordinate descent over scales; 0 = off");
  field.number("refine_gain", spec.refine_gain, 0, 1,
               "ends it after a pass with less than this share of the gain");
  field.flag("refine_zeros", spec.refine_zeros, "tries zero points one step away");
  field.integer("polish", spec.polish, 0, 100, "rounds of integer descent over codes; 0 = off");
  field.word("column_order", spec.column_order, "", {});
  field.word("row_order", spec.row_order, "", {});
  field.integer("beam", spec.beam, 1, 64, "prefixes of a row that the sweep keeps; 1 = off");
  field.word("value_hessian", spec.value_hessian, "", {});
  field.word("row_metric", spec.row_metric, "", {});
  field.word("value_row_metric", spec.value_row_metric, "", {});
  field.integer("rounding_steps", spec.rounding_steps, 1, 1000000, "of learned rounding (aespa)");
  field.number("rounding_rate", spec.rounding_rate, 1e-6, 10, "its learning rate");
  field.number("rounding_lambda", spec.rounding_lambda, 0, 1e6,
               "its push to decide; 0 = 1.5 for q, k, v, 1 elsewhere");
  field.number("damping", spec.damping, 1e-8, 1, "share of the mean diagonal added to it");
  field.either("fallback", spec.fallback_rtn, "none", "rtn", "when a factorization fails for good");
}

/// Keys of `quant` that hold for all layers.
template <class Field, class Spec>
void visit_statistics_keys(Field& field, Spec& spec) {
  field.word("gather", spec.gather, "block | sublayer: again behind each sublayer", {});
  field.integer("metric_positions", spec.metric_positions, 0, no_limit,
                "queries of a sequence for row_metric: softmax; 0 = all");
  field.word("alpha_rule", spec.alpha_rule, "fixed | held_out: best on lanes left out", {});
  field.integer("held_out_lanes", spec.held_out_lanes, 1, 512, "the last lanes, for held_out");
}

template <class Visitor, class Run>
void visit_quant(Visitor& visitor, Run& run) {
  visitor.section("quant", [&](auto& field) {
    visit_layer_keys(field, run.quant);
    visit_statistics_keys(field, run.quant);
    field.layers("layers", run.quant.overrides);
  });
}

template <class Visitor, class Run>
void visit_deck(Visitor& visitor, Run& run) {
  visitor.section("model", [&](auto& field) {
    field.required_text("path", run.model.path, "Hugging Face folder");
  });
  visitor.section("calibration", [&](auto& field) {
    field.required_text("tokens", run.calibration.tokens, "");
    field.sha256("tokens_sha256", run.calibration.tokens_sha256,
                 "when given, the file must have it");
    field.integer("sequences", run.calibration.sequences, 1, no_limit, "the first n of the file");
  });
  visit_quant(visitor, run);
  visitor.section("evaluation", [&](auto& field) {
    field.texts("tokens", run.evaluation.tokens, "");
    field.flag("kl", run.evaluation.kl, "KL and top-1 agreement against full precision");
  });
  visitor.section("run", [&](auto& field) {
    field.text("out", run.run.out, "result goes to <out>/<run-id>");
    field.one_of("device", run.run.device, {"cpu", "cuda"}, "");
    field.word("reduction", run.run.reduction, "exact: the same bits on any number of ranks", {});
    field.word("products", run.run.products, "automatic: as the model's files", {});
    field.integer("lanes", run.run.lanes, 1, 1024, "leaves of the exact sum");
    field.integer("threads", run.run.threads, 0, 4096, "per rank; 0 = cores / ranks on the node");
    field.section("keep", [&](auto& kept) {
      kept.flag("statistics", run.run.keep.statistics, "H_in, D, H_out as used");
      kept.integer("activations", run.run.keep.activations, 0, no_limit, "of the first n tokens");
    });
  });
}

}  // namespace constrictor::config
