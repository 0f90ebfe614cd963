// SPDX-License-Identifier: Apache-2.0
#include "campaign/sweep_plan.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <unordered_map>

#include "calib/shard.hpp"
#include "comm/communicator.hpp"
#include "config/resolved_text.hpp"
#include "config/sweep_deck.hpp"
#include "pipeline/job.hpp"
#include "pipeline/predict.hpp"
#include "pipeline/time_model.hpp"

namespace constrictor::campaign {
namespace {

SweepPrediction predicted(const pipeline::Job& job, double flops, int ranks) {
  const auto shard_of = [&](int rank) {
    return calib::shard_of(job.calibration.sequences(), job.calibration.length(),
                           job.spec.run.lanes, ranks, rank);
  };
  auto fullest = shard_of(0);
  for (int rank = 1; rank < ranks; ++rank)
    if (auto other = shard_of(rank); other.my_sequences() > fullest.my_sequences()) fullest = other;
  SweepPrediction prediction;
  prediction.bytes_per_rank = pipeline::fullest_moment(job, fullest, ranks).bytes;
  prediction.disk_bytes = pipeline::disk_bytes(job);
  for (const auto& [phase, seconds] : pipeline::predicted_seconds(job, flops, ranks))
    prediction.seconds += seconds;
  return prediction;
}

/// Runs with equal texts need the same: the numbers that change results but no sizes are set to
/// one value.
std::string cost_text(const RunSpec& spec) {
  RunSpec same = spec;
  same.quant.damping = 0.01;
  if (same.quant.alpha != 0) same.quant.alpha = 1;
  return config::run_identity_text(same, "", "") + (spec.evaluation.kl ? "kl" : "") +
         (spec.run.keep.statistics ? "s" : "") + std::to_string(spec.run.keep.activations);
}

/// A model with its tokens, and what is known about the runs on it.
struct Opened {
  explicit Opened(pipeline::Job opened) : job(std::move(opened)) {}
  pipeline::Job job;
  std::unordered_map<std::string, SweepPrediction> by_cost;
};

class Planner {
 public:
  explicit Planner(int ranks) : ranks_(ranks), flops_(ranks > 0 ? pipeline::measured_flops() : 0) {}

  void complete(SweepRun& run) {
    Opened& opened = opened_for(run.spec);
    run.run_id = pipeline::run_id_of(run.spec, opened.job);
    run.folder = (std::filesystem::path(run.spec.run.out) / run.run_id).string();
    const auto [known, is_new] = opened.by_cost.try_emplace(cost_text(run.spec));
    if (is_new) {
      pipeline::turn_to(run.spec, opened.job);  // refuses what does not fit the model
      if (ranks_ > 0) known->second = predicted(opened.job, flops_, ranks_);
    }
    run.predicted = known->second;
  }

 private:
  Opened& opened_for(const RunSpec& spec) {
    std::string key = spec.model.path + "\n" + spec.calibration.tokens + "\n" +
                      spec.calibration.tokens_sha256 + "\n" +
                      std::to_string(spec.calibration.sequences);
    for (const std::string& path : spec.evaluation.tokens) key += "\n" + path;
    auto& opened = opened_[key];
    if (!opened) opened = std::make_unique<Opened>(pipeline::open_job(alone_, spec));
    return *opened;
  }

  comm::Communicator alone_;
  int ranks_;
  double flops_;
  std::unordered_map<std::string, std::unique_ptr<Opened>> opened_;
};

}  // namespace

std::string run_label(const Sweep& sweep, const SweepRun& run) {
  std::string text;
  for (std::size_t i = 0; i < sweep.axes.size(); ++i)
    text += (text.empty() ? "" : ", ") + sweep.axes[i].label + " " + run.names[i];
  return text;
}

Sweep plan_sweep(const std::string& deck, int ranks) {
  Sweep sweep = config::load_sweep(deck);
  Planner planner(ranks);
  std::unordered_map<std::string, const SweepRun*> by_id;
  for (SweepRun& run : sweep.runs) {
    try {
      planner.complete(run);
    } catch (const UserError& error) {
      throw UserError(deck + ": run '" + run_label(sweep, run) + "': " + error.what());
    }
    const auto [other, is_new] = by_id.emplace(run.run_id, &run);
    if (!is_new)
      throw UserError(deck + ": two runs are the same (run id " + run.run_id + "): '" +
                      run_label(sweep, *other->second) + "' and '" + run_label(sweep, run) +
                      "'; exclude one, or vary a key that decides the result");
  }
  return sweep;
}

}  // namespace constrictor::campaign
