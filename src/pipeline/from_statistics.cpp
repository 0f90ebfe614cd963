// SPDX-License-Identifier: Apache-2.0
#include "pipeline/from_statistics.hpp"

#include <cmath>
#include <filesystem>
#include <memory>

#include "backend/backend.hpp"
#include "backend/layer_inputs.hpp"
#include "comm/agree.hpp"
#include "config/layer_spec.hpp"
#include "config/resolved_text.hpp"
#include "core/build_info.hpp"
#include "io/run_folder.hpp"
#include "io/sha256.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::pipeline {
namespace {

using hessian::Place;
namespace fs = std::filesystem;

/// A block as far as its stored statistics know it.
struct StoredBlock {
  io::BlockRecord record;
  Block block;      // layers with their full-precision weights
  ModelSpec model;  // only what planning needs: heads, kv_heads, head_dim

  const io::LayerStatistics& of(Role role) const {
    return record.statistics.at(block.layer(role).name);
  }
};

StoredBlock read_stored(const fs::path& run, Index index) {
  StoredBlock stored;
  const auto path = run / "blocks" / io::block_file_name(index);
  stored.record = io::read_block(path);
  stored.block.index = index;
  for (const auto& layer : stored.record.layers) {
    const auto found = stored.record.statistics.find(layer.name);
    if (found == stored.record.statistics.end() || found->second.weight.empty())
      throw UserError(path.string() + ": no statistics are stored for " + layer.name +
                      "; quantize with --set run.keep.statistics=true first");
    stored.block.layers.push_back({layer.name, layer.role, found->second.weight, {}, {}});
    stored.block.layers.back().expert = layer.expert;
  }
  const auto pages = [](const Matrix<float>& m) { return m.empty() ? 0 : m.rows() / m.cols(); };
  auto& model = stored.model;
  model.kv_heads = std::max<Index>(
      {1, pages(stored.of(Role::key).output_hessian), pages(stored.of(Role::value).input_hessian)});
  model.heads = std::max(model.kv_heads, pages(stored.of(Role::query).output_hessian));
  model.head_dim = stored.block.layer(Role::key).weight.rows() / model.kv_heads;
  return stored;
}

Matrix<float> page(const Matrix<float>& stacked, Index i) {
  const Index rows = stacked.cols();
  return Matrix<float>(stacked.view().rows_from(i * rows, rows));
}

/// The layer whose stored H_in belongs to a place.
const io::LayerStatistics& source_of(const StoredBlock& stored, const backend::InputUnit& unit) {
  switch (unit.place) {
    case Place::attention_input:
      return stored.of(Role::query);
    case Place::output_input:
      return stored.of(Role::output);
    case Place::mlp_input:
      return stored.of(Role::up);
    case Place::down_input:
      return stored.of(Role::down);
    case Place::expert_mlp:
      return stored.record.statistics.at(stored.block.layer(Role::up, unit.head).name);
    case Place::expert_down:
      return stored.record.statistics.at(stored.block.layer(Role::down, unit.head).name);
    case Place::value_head:
      break;
  }
  const auto& value = stored.of(Role::value);
  if (stored.model.kv_heads > 1 && value.input_hessian.rows() == value.input_hessian.cols())
    throw UserError(unit.name + ": the stored run had quant.value_hessian: input; set the same");
  return value;
}

void use_stored(const StoredBlock& stored, backend::LayerInputs& inputs) {
  inputs.input_statistics = [&stored](const backend::InputUnit& unit) {
    const auto& source = source_of(stored, unit);
    const Index head = unit.place == Place::value_head ? unit.head : 0;
    hessian::InputStatistics statistics{page(source.input_hessian, head), {}};
    if (!source.input_drift.empty()) statistics.D = page(source.input_drift, head);
    return statistics;
  };
  inputs.output_hessian = [&stored](const backend::LayerPlan& plan, Index h) {
    const auto& metric = stored.record.statistics.at(plan.layer->name).output_hessian;
    if (metric.empty())
      throw UserError(
          "no H_out is stored for " + plan.layer->name +
          "; store statistics with a method that uses it (row_metric, value_row_metric)");
    return page(metric, h);
  };
}

/// Stored statistics are there at once, however they were gathered.
backend::BlockStep whole_block(const Block& block) {
  std::vector<Role> roles;
  for (const Layer& layer : block.layers) roles.push_back(layer.role);
  return backend::steps_of(Gather::block, roles).front();
}

std::vector<QuantSpec> specs_of(const StoredBlock& stored, const RunSpec& run) {
  std::vector<QuantSpec> specs;
  for (const Layer& layer : stored.block.layers) {
    specs.push_back(config::layer_spec(run.quant, stored.block.index, layer.name));
    config::require_device_can(run.run.device, specs.back(), layer.name);
    config::require_groups_fit(specs.back(), layer.name, layer.weight.cols());
  }
  return specs;
}

struct Source {
  fs::path folder;
  std::vector<Index> blocks;
  io::Provenance facts;
  Index length = 1;  // tokens of a sequence
};

void require_one_width(const QuantSpec& quant) {
  if (quant.budget.on())
    throw UserError(
        "quant.bits: a budget needs the model, whose blocks it runs to compare layers; with "
        "--from-statistics give one width, 2..8");
}

Source open_source(const std::string& run) {
  Source source{run, io::finished_blocks(run),
                io::read_run_file(fs::path(run) / "run.h5").provenance};
  if (source.blocks.empty()) throw UserError(run + ": no finished block");
  if (const auto length = source.facts.find("sequence_length"); length != source.facts.end())
    source.length = std::get<std::int64_t>(length->second);
  return source;
}

std::string id_of(const Source& source, const RunSpec& spec) {
  const auto text = [&](const char* name) { return std::get<std::string>(source.facts.at(name)); };
  return io::sha256("from statistics of " + text("run_id") + "\n" +
                    config::run_identity_text(spec, text("model_sha256"), text("tokens_sha256")))
      .substr(0, 16);
}

}  // namespace

void quantize_statistics(const comm::Communicator& ranks, const RunSpec& spec,
                         const QuantizeOptions& options, Screen& screen) {
  if (spec.quant.alpha_rule != AlphaRule::fixed)
    throw UserError(
        "quant.alpha_rule: held_out needs calibration sequences; stored statistics have none, set "
        "fixed");
  const Source source = comm::agree(ranks, [&] {
    require_one_width(spec.quant);
    return open_source(options.from_statistics);
  });
  const std::string id = id_of(source, spec);
  const std::string folder_path =
      spec.run.run_dir.empty() ? (fs::path(spec.run.out) / id).string() : spec.run.run_dir;
  screen.header({"statistics   of " + options.from_statistics + ", " +
                     std::to_string(source.blocks.size()) + " blocks; no model, no evaluation",
                 machine_line(ranks, options.threads, options.device.description),
                 "run          " + folder_path + " (id " + id + ")"});
  if (options.dry_run) return screen.line(config::resolved_text(spec));
  comm::agree(ranks,
              [&] {  // what is wrong with one block is wrong with all: before a folder exists
                specs_of(read_stored(source.folder, source.blocks.front()), spec);
              });
  std::unique_ptr<io::RunFolder> folder;  // rank 0
  comm::agree_on_root(ranks, [&] {
    folder = std::make_unique<io::RunFolder>(
        folder_path,
        io::Provenance{{"run_id", id},
                       {"deck", config::resolved_text(spec)},
                       {"from_statistics", std::get<std::string>(source.facts.at("run_id"))},
                       {"git_sha", build_info().git_sha},
                       {"model_sha256", source.facts.at("model_sha256")},
                       {"tokens_sha256", source.facts.at("tokens_sha256")},
                       {"started", io::now_utc()},
                       {"state", std::string("running")}},
        [&](const std::string& words) { screen.warning(words); });
    folder->write_deck(config::resolved_text(spec));
  });
  for (const Index b : source.blocks) {
    const double start = wall_seconds();
    const auto stored = comm::agree(ranks, [&] { return read_stored(source.folder, b); });
    const auto specs = comm::agree(ranks, [&] { return specs_of(stored, spec); });
    auto inputs = backend::plan_layers(stored.model, stored.block, specs, source.length,
                                       whole_block(stored.block));
    use_stored(stored, inputs);
    io::BlockRecord result;
    result.index = b;
    result.output_error = result.relative_output_error = result.output_cosine =
        std::nan("");  // not measured
    const auto backend = backend::make_backend(ranks, options.device, {stored.model});
    result.layers = backend->solve(inputs, result.seconds_by_phase);
    comm::agree_on_root(ranks, [&] { folder->write_block(result); });
    screen.line(block_line(result, source.blocks.back() + 1, wall_seconds() - start, 0));
    for (const auto& layer : result.layers)
      for (const auto& words : layer_warnings(b, layer)) screen.warning(words);
  }
  comm::agree_on_root(ranks, [&] {
    folder->add_provenance({{"finished", io::now_utc()}, {"state", std::string("done")}});
  });
  screen.line("results      " + folder_path + "   (constrictor inspect " + folder_path + ")");
}

}  // namespace constrictor::pipeline
