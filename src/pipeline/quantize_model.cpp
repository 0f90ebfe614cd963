// SPDX-License-Identifier: Apache-2.0
#include "pipeline/quantize_model.hpp"

#include <iterator>

#include "backend/backend.hpp"
#include "backend/layer_inputs.hpp"
#include "calib/hidden_states.hpp"
#include "comm/agree.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"
#include "pipeline/block_reader.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/from_statistics.hpp"
#include "pipeline/job.hpp"
#include "pipeline/measure_widths.hpp"
#include "pipeline/predict.hpp"
#include "pipeline/report_lines.hpp"
#include "pipeline/run_record.hpp"

namespace constrictor::pipeline {
namespace {

void keep_statistics(const backend::LayerInputs& inputs, io::BlockRecord& record) {
  const auto stacked = [](Matrix<float>& all, const Matrix<float>& page) {
    auto longer = Matrix<float>::uninitialized(all.rows() + page.rows(), page.cols());
    std::copy(all.data(), all.data() + all.size(), longer.data());
    std::copy(page.data(), page.data() + page.size(), longer.row(all.rows()));
    all = std::move(longer);
  };
  for (const backend::LayerPlan& plan : inputs.layers) {
    auto& kept = record.statistics[plan.layer->name];
    for (const Index u : plan.units) {
      const auto raw = inputs.input_statistics(inputs.units[static_cast<std::size_t>(u)]);
      stacked(kept.input_hessian, raw.H);
      if (!raw.D.empty()) stacked(kept.input_drift, raw.D);
    }
    kept.weight = plan.layer->weight;
    for (Index h = 0; h < plan.heads; ++h)
      stacked(kept.output_hessian, inputs.output_hessian(plan, h));
  }
}

void keep_activations(const Block& block, backend::KeptInputs kept, io::BlockRecord& record) {
  for (const Layer& layer : block.layers) {
    if (layer.expert >= 0) continue;  // sees some tokens only
    auto found = kept.inputs.find(layer.role);
    if (found != kept.inputs.end())
      record.activations[layer.name] = {std::move(found->second.first),
                                        std::move(found->second.second)};
  }
}

/// What the loop over blocks carries along.
struct Walk {
  const comm::Communicator& ranks;
  const Job& job;
  backend::Backend& backend;
  calib::HiddenStates states;
};

/// Statistics of a step's layers, their codes, and those in place of the weights of `block`.
///   original  the block in full precision; the same object as `block` in the first step
void quantize_step(Walk& walk, const backend::BlockStep& step, const Block& original, Block& block,
                   io::BlockRecord& record) {
  const Job& job = walk.job;
  const auto& specs = job.specs[static_cast<std::size_t>(block.index)];
  backend::Gathering gathering{original, block,
                               backend::sum_shape(job.model(), specs, job.roles, step), step.last};
  gathering.shape.drift &= !gathering.one_path(walk.states);
  if (job.spec.quant.alpha_rule == AlphaRule::held_out)
    gathering.held_out_lanes = job.spec.quant.held_out_lanes;
  backend::KeptInputs kept{job.spec.run.keep.activations, step.roles, {}};
  walk.backend.gather(gathering, walk.states, &kept, record.seconds_by_phase);
  backend::LayerInputs inputs =
      backend::plan_layers(job.model(), block, specs, walk.states.shard().length, step);
  walk.backend.use_sums(block, inputs);
  auto layers = walk.backend.solve(inputs, record.seconds_by_phase);
  if (job.spec.run.keep.statistics) keep_statistics(inputs, record);
  if (kept.tokens > 0) keep_activations(block, std::move(kept), record);
  apply(layers, job.products, block);
  std::move(layers.begin(), layers.end(), std::back_inserter(record.layers));
}

/// One block from statistics to the quantized path's next hidden states; rank 0's record is
/// complete.
io::BlockRecord quantize_block(Walk& walk, Block& block) {
  const Job& job = walk.job;
  io::BlockRecord record;
  record.index = block.index;
  const auto steps = backend::steps_of(job.spec.quant.gather, job.roles);
  const Block original = steps.size() > 1 ? block : Block();  // x goes on through these weights
  for (const backend::BlockStep& step : steps)
    quantize_step(walk, step, step.first ? block : original, block, record);
  const auto error = walk.backend.advance_quantized(block, walk.states, record.seconds_by_phase);
  record.output_error = error.mean_squared;
  record.relative_output_error = error.relative;
  record.output_cosine = error.cosine;
  record.peak_memory_bytes = walk.ranks.max(Index{peak_memory()});
  record.peak_device_memory_bytes = walk.ranks.max(walk.backend.take_peak_device_memory());
  return record;
}

/// A block that an earlier execution finished: both paths move on, nothing is computed twice.
void pass_finished_block(Walk& walk, Block& block, RunRecord& record) {
  SecondsByPhase ignored;
  record.finish_writing();
  comm::agree(walk.ranks, [&] {
    const auto layers = record.read_block(block.index);
    walk.backend.advance_full(block, walk.states);
    apply(layers, walk.job.products, block);
  });
  walk.backend.advance_quantized(block, walk.states, ignored);
}

void add(SecondsByPhase& total, const SecondsByPhase& part) {
  for (const auto& [phase, seconds] : part) total[phase] += seconds;
}

/// All blocks; returns the warnings that deserve to stand at the end once more.
std::vector<std::string> quantize_blocks(Walk& walk, RunRecord& record, SecondsByPhase& total,
                                         Screen& screen) {
  const Index blocks = walk.job.model().blocks, done_before = record.blocks_done();
  std::vector<std::string> all_warnings;
  if (done_before > 0)
    screen.line("resuming: " + std::to_string(done_before) + " of " + std::to_string(blocks) +
                " blocks are finished");
  BlockReader reader(walk.ranks, walk.job, walk.backend);
  const double start = wall_seconds();
  Index worked = 0;
  bool all_done = done_before == blocks;
  for (Index b = 0; b < blocks && !all_done; ++b) {
    const double block_start = wall_seconds();
    screen.progress("block " + std::to_string(b + 1) + " of " + std::to_string(blocks),
                    static_cast<double>(b) / static_cast<double>(blocks));
    Block block = reader.next(b, total);
    if (record.has_block(b)) {
      const PhaseTimer timer(total, "resume");
      pass_finished_block(walk, block, record);
      continue;
    }
    io::BlockRecord result = quantize_block(walk, block);
    add(total, result.seconds_by_phase);
    ++worked;
    const double eta = (wall_seconds() - start) / static_cast<double>(worked) *
                       static_cast<double>(blocks - b - 1);
    const PhaseTimer timer(total, "write");
    record.finish_writing();
    screen.line(block_line(result, blocks, wall_seconds() - block_start, eta));
    for (const auto& layer : result.layers)
      for (const auto& words : layer_warnings(b, layer)) {
        screen.warning(words);
        record.log("warning", {{"words", words}});
        all_warnings.push_back(words);
      }
    record.write_block(std::move(result), eta);
  }
  const PhaseTimer timer(total, "write");
  record.finish_writing();
  return all_warnings;
}

void run(const comm::Communicator& ranks, Job& job, backend::Backend& backend, RunRecord& record,
         SecondsByPhase& seconds, Screen& screen) {
  std::vector<std::string> warnings;
  if (record.blocks_done() < job.model().blocks) {
    if (job.spec.quant.budget.on()) settle_widths(ranks, backend, job, seconds, screen, record);
    Walk walk{ranks, job, backend, embedded(ranks, job, backend)};
    const auto full_pinned = backend.pinned(walk.states.full.view()),
               quant_pinned = backend.pinned(walk.states.quant.view());
    warnings = quantize_blocks(walk, record, seconds, screen);
  } else {
    screen.line("all " + std::to_string(job.model().blocks) + " blocks are finished already");
    const auto stored = comm::agree(
        ranks, [&] { return record.stored_scores(job.evaluation, job.spec.evaluation.kl); });
    if (stored) {
      record.finish({});
      if (!stored->empty()) screen.table(score_table(*stored));
      return screen.line("results      " + job.folder);
    }
  }
  const auto scores = evaluate(
      ranks, job.checkpoint, backend, [&](Index b) { return record.read_block(b); }, job.evaluation,
      {job.products, job.spec.evaluation.kl}, seconds, screen);
  record.write_scores(scores);
  record.finish(seconds);
  screen.line("");
  if (!scores.empty()) screen.table(score_table(scores));
  screen.line(phase_line(seconds));
  if (!warnings.empty())
    screen.warning(std::to_string(warnings.size()) + " warnings above; they are in " + job.folder +
                   "/log.jsonl too");
  screen.line("results      " + job.folder);
}

}  // namespace

void quantize_model(const comm::Communicator& ranks, const RunSpec& spec,
                    const QuantizeOptions& options, Screen& screen) {
  if (!options.from_statistics.empty()) return quantize_statistics(ranks, spec, options, screen);
  Job job = open_job(ranks, spec);
  const Prediction prediction = predict(ranks, job);
  if (options.dry_run) return show_prediction(job, prediction, screen);
  screen.header(header_lines(ranks, job, prediction, options.device.description, options.threads));
  if (!options.force) require_memory(ranks, prediction);
  const auto backend = backend::make_backend(ranks, options.device,
                                             {job.model(), job.products, job.spec.run.reduction});
  if (const auto room = backend->device_room(); room && prediction.device && !options.force)
    comm::agree(ranks, [&] { require_device_memory(*prediction.device, room->free, room->name); });
  RunRecord record(
      ranks, job, {options.device.description, thread_count(), backend->product_library()}, screen);
  SecondsByPhase seconds;
  try {
    run(ranks, job, *backend, record, seconds, screen);
  } catch (const Preempted& stop) {
    record.leave("preempted", stop.what(), seconds);
    throw;
  } catch (const std::exception& error) {
    record.leave("failed", error.what(), seconds);
    throw;
  }
}

}  // namespace constrictor::pipeline
