// SPDX-License-Identifier: Apache-2.0
#include "pipeline/measure_widths.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "backend/layer_inputs.hpp"
#include "comm/agree.hpp"
#include "pipeline/block_reader.hpp"
#include "schedule/choose_widths.hpp"

namespace constrictor::pipeline {
namespace {

/// Every layer of the model with the widths it may have.
std::vector<LayerWidths> open_layers(const Job& job) {
  const auto names = job.checkpoint.layer_names();
  std::vector<LayerWidths> all;
  for (Index b = 0; b < job.model().blocks; ++b)
    for (std::size_t l = 0; l < names.size(); ++l) {
      const QuantSpec& spec = job.specs[static_cast<std::size_t>(b)][l];
      LayerWidths layer{b, names[l], 0, {}, {}, {}, spec.bits};
      layer.weights =
          layer_inputs(job.model(), job.roles[l]) * layer_outputs(job.model(), job.roles[l]);
      layer.bits = spec.budget.on() ? spec.budget.choices : std::vector<int>{spec.bits};
      all.push_back(std::move(layer));
    }
  return all;
}

Index all_weights(const std::vector<LayerWidths>& layers) {
  Index sum = 0;
  for (const LayerWidths& layer : layers) sum += layer.weights;
  return sum;
}

/// Bits that all layers may take together; the last part of a bit is forgiven.
Index most_bits(const Job& job, const std::vector<LayerWidths>& layers) {
  return static_cast<Index>(
      std::floor(job.spec.quant.budget.average * static_cast<double>(all_weights(layers)) + 1e-3));
}

/// Every open layer of a block once for each of its widths, on the same factored statistics.
backend::LayerInputs inputs_at_every_width(const Job& job, const Block& block, Index length,
                                           const std::vector<QuantSpec>& specs) {
  auto inputs = backend::plan_layers(job.model(), block, specs, length,
                                     backend::steps_of(Gather::block, job.roles).front());
  std::vector<backend::LayerPlan> plans;
  for (const backend::LayerPlan& plan : inputs.layers)
    for (const int bits : plan.spec.budget.choices) {
      plans.push_back(plan);
      plans.back().spec.bits = bits;
    }
  inputs.layers = std::move(plans);
  return inputs;
}

struct Measure {
  const comm::Communicator& ranks;
  const Job& job;
  backend::Backend& backend;
  calib::HiddenStates states;
  SecondsByPhase seconds;
};

/// The block's output with one layer quantized, the others in full precision; `input`: x.
double error_of_one(Measure& m, const QuantizedLayer& quantized, const Matrix<float>& input,
                    Block& block) {
  const auto place = std::find_if(block.layers.begin(), block.layers.end(),
                                  [&](const Layer& layer) { return layer.name == quantized.name; });
  const Layer untouched = *place;
  apply({quantized}, m.job.products, block);
  std::copy(input.data(), input.data() + input.size(), m.states.quant.data());
  const auto error = m.backend.advance_quantized(block, m.states, m.seconds);
  *place = untouched;
  return error.relative;
}

/// Losses of the open layers of one block; both paths stay in full precision, so that no choice is
/// anticipated and no drift is needed. The common unit of different layers is what they do to the
/// block's output: measured with the layer at its narrowest width, and in proportion to L from
/// there (on the demo model the two agree within some per cent over 2, 3 and 4 bits).
void measure_block(Measure& m, Block& block, LayerWidths* layers) {
  auto specs = m.job.specs[static_cast<std::size_t>(block.index)];
  for (QuantSpec& spec : specs) spec.drift = Drift::none;
  const auto whole = backend::steps_of(Gather::block, m.job.roles).front();
  m.backend.gather({block, block, backend::sum_shape(m.job.model(), specs, m.job.roles, whole)},
                   m.states, nullptr, m.seconds);
  auto inputs = inputs_at_every_width(m.job, block, m.states.shard().length, specs);
  m.backend.use_sums(block, inputs);
  const auto solved = m.backend.solve(inputs, m.seconds);
  const Matrix<float> input(m.states.quant);
  std::size_t next = 0;
  for (std::size_t l = 0; l < specs.size(); ++l) {
    const auto widths = specs[l].budget.choices.size();
    if (widths == 0) continue;
    for (std::size_t k = 0; k < widths; ++k)
      layers[l].loss.push_back(solved[next + k].relative_loss());
    const double error = error_of_one(m, solved[next], input, block);
    for (const double loss : layers[l].loss)
      layers[l].output_error.push_back(layers[l].loss[0] > 0 ? error * loss / layers[l].loss[0]
                                                             : error);
    next += widths;
  }
  m.states.quant = m.states.full;
  m.states.equal = true;
}

std::vector<LayerWidths> measured(const comm::Communicator& ranks, backend::Backend& backend,
                                  const Job& job, SecondsByPhase& seconds, Screen& screen) {
  auto layers = open_layers(job);
  const Index blocks = job.model().blocks;
  Measure m{ranks, job, backend, embedded(ranks, job, backend), {}};
  BlockReader reader(ranks, job, backend);
  const double start = wall_seconds();
  for (Index b = 0; b < blocks; ++b) {
    screen.progress(
        "measuring widths, block " + std::to_string(b + 1) + " of " + std::to_string(blocks),
        static_cast<double>(b) / static_cast<double>(blocks));
    Block block = reader.next(b, m.seconds);
    measure_block(m, block, layers.data() + b * static_cast<Index>(job.roles.size()));
  }
  seconds["widths"] += wall_seconds() - start;
  return layers;
}

void choose(const Job& job, std::vector<LayerWidths>& layers) {
  std::vector<schedule::WidthOptions> options;
  for (const LayerWidths& layer : layers)
    options.push_back({layer.weights, layer.bits,
                       layer.bits.size() > 1 ? layer.output_error : std::vector<double>{0.}});
  const auto chosen = schedule::choose_widths(options, most_bits(job, layers));
  for (std::size_t l = 0; l < layers.size(); ++l) layers[l].chosen = layers[l].bits[chosen[l]];
}

std::string number_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// "2.494 bits a weight: 14 layers at 2, 11 at 3, 3 at 4"
std::string choice_words(const std::vector<LayerWidths>& layers) {
  std::map<int, Index> count;
  double bits = 0;
  for (const LayerWidths& layer : layers) {
    ++count[layer.chosen];
    bits += static_cast<double>(layer.weights) * layer.chosen;
  }
  std::string list;
  for (const auto& [width, layers_there] : count)
    list += (list.empty() ? " " : ", ") + std::to_string(layers_there) +
            (list.empty() ? " layers at " : " at ") + std::to_string(width);
  return number_words(bits / static_cast<double>(all_weights(layers))) + " bits a weight:" + list;
}

}  // namespace

void require_budget_can_be_met(const Job& job) {
  if (!job.spec.quant.budget.on()) return;
  const auto layers = open_layers(job);
  Index least = 0;
  for (const LayerWidths& layer : layers) least += layer.weights * layer.bits.front();
  if (least <= most_bits(job, layers)) return;
  throw UserError(
      "quant.bits.average: " + number_words(job.spec.quant.budget.average) +
      " bits a weight cannot be met: the widths that quant.layers sets and " +
      std::to_string(job.spec.quant.budget.choices.front()) + " bits for all other layers take " +
      number_words(static_cast<double>(least) / static_cast<double>(all_weights(layers))));
}

void settle_widths(const comm::Communicator& ranks, backend::Backend& backend, Job& job,
                   SecondsByPhase& seconds, Screen& screen, RunRecord& record) {
  auto layers = record.stored_widths();
  const bool stored = !layers.empty();
  if (!stored) {
    layers = measured(ranks, backend, job, seconds, screen);
    choose(job, layers);
    record.keep_widths(job.spec.quant.budget.average, layers);
  }
  const auto per_block = job.roles.size();
  if (layers.size() != per_block * job.specs.size())
    throw UserError(job.folder + "/widths.json: holds " + std::to_string(layers.size()) +
                    " layers, the model has " + std::to_string(per_block * job.specs.size()) +
                    "; remove it to have the widths of the layers measured again");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    QuantSpec& spec = job.specs[i / per_block][i % per_block];
    spec.bits = layers[i].chosen;
    spec.budget = {};
  }
  screen.line("widths       " + choice_words(layers) + (stored ? ", as measured before" : ""));
  record.log("widths", {{"words", choice_words(layers)}});
}

}  // namespace constrictor::pipeline
