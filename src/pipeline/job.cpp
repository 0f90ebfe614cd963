// SPDX-License-Identifier: Apache-2.0
#include "pipeline/job.hpp"

#include <algorithm>
#include <filesystem>

#include "backend/backend.hpp"
#include "comm/agree.hpp"
#include "config/layer_spec.hpp"
#include "config/resolved_text.hpp"
#include "core/parallel.hpp"
#include "io/sha256.hpp"
#include "io/token_file.hpp"
#include "model/forward.hpp"
#include "pipeline/measure_widths.hpp"

namespace constrictor::pipeline {
namespace {

Tokens first_sequences(Tokens tokens, Index wanted) {
  if (tokens.sequences() < wanted)
    throw UserError("calibration.sequences: " + std::to_string(wanted) + " are asked for, but " +
                    tokens.path + " holds " + std::to_string(tokens.sequences()));
  tokens.ids = Matrix<std::int32_t>(read_only(tokens.ids.view()).rows_from(0, wanted));
  return tokens;
}

/// UserError when there are no lanes to hold out, or nothing to choose by them.
void require_held_out_fit(const Job& job) {
  const QuantSpec& quant = job.spec.quant;
  const auto any = [&](auto&& holds) {
    return std::any_of(job.specs.begin(), job.specs.end(), [&](const auto& layers) {
      return std::any_of(layers.begin(), layers.end(), holds);
    });
  };
  if (quant.alpha_rule == AlphaRule::fixed) return;
  if (job.spec.run.device == "cuda")
    throw UserError("run.device: cuda has no quant.alpha_rule: held_out yet; use run.device=cpu");
  const Index lanes = job.spec.run.lanes;
  if (2 * quant.held_out_lanes > lanes)
    throw UserError("quant.held_out_lanes: " + std::to_string(quant.held_out_lanes) + " of " +
                    std::to_string(lanes) +
                    " lanes would make the held-out fold larger than the calibration set; at most "
                    "half of run.lanes");
  if (job.calibration.sequences() < lanes)
    throw UserError("quant.alpha_rule: held_out needs a sequence a lane, but there are " +
                    std::to_string(job.calibration.sequences()) + " calibration.sequences for " +
                    std::to_string(lanes) + " run.lanes");
  if (!any([](const QuantSpec& s) { return s.drift != Drift::none; }))
    throw UserError(
        "quant.alpha_rule: held_out chooses the share of the drift, but quant.drift is none");
}

/// The softmax's slopes are derived for plain causal attention.
void require_metric_fits(const ModelSpec& model, const QuantSpec& spec) {
  if (spec.row_metric != RowMetric::softmax) return;
  const char* other = model.qk_norm                  ? "a norm of queries and keys inside the head"
                      : model.attention_soft_cap > 0 ? "soft caps"
                      : model.window > 0             ? "a sliding window"
                                                     : nullptr;
  if (other != nullptr)
    throw UserError("quant.row_metric: softmax is for plain causal attention, but this model has " +
                    std::string(other) + "; use attention or none");
}

void plan_layer_specs(Job& job) {
  const auto names = job.checkpoint.layer_names();
  job.specs.clear();
  std::vector<std::string> full_names;
  for (Index b = 0; b < job.model().blocks; ++b)
    for (const auto& name : names) full_names.push_back(std::to_string(b) + "." + name);
  config::require_patterns_match(job.spec.quant, full_names);
  for (Index b = 0; b < job.model().blocks; ++b) {
    job.specs.emplace_back();
    for (std::size_t l = 0; l < names.size(); ++l) {
      job.specs.back().push_back(config::layer_spec(job.spec.quant, b, names[l]));
      config::require_device_can(job.spec.run.device, job.specs.back().back(), names[l]);
      require_metric_fits(job.model(), job.specs.back().back());
      config::require_groups_fit(job.specs.back().back(), names[l],
                                 layer_inputs(job.model(), job.roles[l]));
    }
  }
}

/// W~ = s (C - z) in place of W, row by row on all threads: the weights of a large block are
/// hundreds of millions.
void replace_weight(const QuantizedLayer& q, Products products, Layer& layer) {
  const Index out = q.codes.rows(), in = q.codes.cols(), groups = q.scale.cols(),
              width = in / groups;
  auto& W = layer.weight;
  if (W.rows() != out || W.cols() != in) W = Matrix<float>::uninitialized(out, in);
  const bool narrow = products == Products::bfloat16;
  if (narrow && layer.weight_bf16.empty())
    layer.weight_bf16 = Matrix<bfloat16>::uninitialized(out, in);
  parallel_for(pieces(out, 64), [&](Index t) {
    const Piece rows = piece(out, 64, t);
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index g = 0; g < groups; ++g) {
        const float scale = q.scale(r, g), zero = q.zero(r, g);
        for (Index c = g * width; c < (g + 1) * width; ++c) {
          W(r, c) = scale * (static_cast<float>(q.codes(r, c)) - zero);
          if (narrow) layer.weight_bf16(r, c) = bfloat16(W(r, c));
        }
      }
  });
}

}  // namespace

std::vector<Role> layer_roles(const ModelSpec& model) {
  std::vector<Role> roles{Role::query, Role::key, Role::value, Role::output,
                          Role::gate,  Role::up,  Role::down};
  if (!model.gated) std::erase(roles, Role::gate);
  return roles;
}

Index layer_inputs(const ModelSpec& model, Role role) {
  if (role == Role::output) return model.heads * model.head_dim;
  return role == Role::down ? model.feed_forward : model.hidden;
}

Index layer_outputs(const ModelSpec& model, Role role) {
  switch (role) {
    case Role::query:
      return model.heads * model.head_dim;
    case Role::key:
    case Role::value:
      return model.kv_heads * model.head_dim;
    case Role::gate:
    case Role::up:
      return model.feed_forward;
    default:
      return model.hidden;
  }
}

Tokens open_tokens(const std::string& path, const io::Checkpoint& checkpoint,
                   const std::string& wanted_sha256) {
  auto tokens = io::read_tokens(path);
  io::check_tokens(tokens, checkpoint.spec(), checkpoint.tokenizer_sha256(), wanted_sha256);
  return tokens;
}

std::string run_id_of(const RunSpec& spec, const Job& job) {
  return io::sha256(
             config::run_identity_text(spec, job.sample_sha256, job.calibration.tokens_sha256))
      .substr(0, 16);
}

void turn_to(const RunSpec& spec, Job& job) {
  job.spec = spec;
  job.products = model::resolved_products(job.model(), spec.run.products);
  job.roles = layer_roles(job.model());
  if (spec.run.device == "cuda") backend::require_device_can(job.model());
  plan_layer_specs(job);
  require_budget_can_be_met(job);
  require_held_out_fit(job);
  job.run_id = run_id_of(spec, job);
  job.folder = spec.run.run_dir.empty()
                   ? (std::filesystem::path(spec.run.out) / job.run_id).string()
                   : spec.run.run_dir;
}

Job open_job(const comm::Communicator& ranks, const RunSpec& spec) {
  return comm::agree(ranks, [&] {
    Job job(spec);
    job.sample_sha256 = job.checkpoint.sample_sha256();
    job.calibration = first_sequences(
        open_tokens(spec.calibration.tokens, job.checkpoint, spec.calibration.tokens_sha256),
        spec.calibration.sequences);
    for (const auto& path : spec.evaluation.tokens)
      job.evaluation.push_back(open_tokens(path, job.checkpoint, ""));
    turn_to(spec, job);
    return job;
  });
}

void apply(const std::vector<QuantizedLayer>& layers, Products products, Block& block) {
  for (const QuantizedLayer& quantized : layers)
    for (Layer& layer : block.layers) {
      if (layer.name != quantized.name) continue;
      replace_weight(quantized, products, layer);
    }
}

}  // namespace constrictor::pipeline
