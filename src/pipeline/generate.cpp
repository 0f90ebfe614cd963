// SPDX-License-Identifier: Apache-2.0
#include "pipeline/generate.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "backend/walk_checks.hpp"
#include "core/memory.hpp"
#include "core/stop_flag.hpp"
#include "eval/scoring.hpp"
#include "io/block_file.hpp"
#include "io/run_file.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"
#include "model/past.hpp"
#include "pipeline/finished_run.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {
namespace {

void check(const GenerateOptions& options, const ModelSpec& model) {
  for (const std::int32_t id : options.prompt)
    if (id < 0 || id >= model.vocabulary)
      throw UserError("generate: token " + std::to_string(id) +
                      " of the prompt lies outside the model's vocabulary of " +
                      std::to_string(model.vocabulary));
  const Index wanted = static_cast<Index>(options.prompt.size()) + options.tokens;
  if (wanted > model.max_positions)
    throw UserError("generate: " + std::to_string(options.prompt.size()) +
                    " tokens of prompt and " + std::to_string(options.tokens) +
                    " more are asked for, but the model has " +
                    std::to_string(model.max_positions) + " positions");
}

/// Weights as they are multiplied, both ends, keys and values.
void require_room(const io::Checkpoint& checkpoint, Products products, Index tokens) {
  const ModelSpec& model = checkpoint.spec();
  const double ends = 2. * static_cast<double>(model.vocabulary * model.embedding_width);
  const double weights = static_cast<double>(checkpoint.parameter_count());
  const double bytes =
      weights * (products == Products::bfloat16 ? 2 : 4) + 4 * ends +
      8. * static_cast<double>(model.blocks * tokens * model.kv_heads * model.head_dim);
  const auto free = static_cast<double>(available_memory());
  if (bytes > free)
    throw MemoryError("generate: all weights lie in memory, which takes " + bytes_text(bytes) +
                      ", but only " + bytes_text(free) + " are free");
}

std::vector<Block> load_blocks(const io::Checkpoint& checkpoint, const std::string& run_dir,
                               Products products) {
  std::vector<Block> blocks;
  for (Index b = 0; b < checkpoint.spec().blocks; ++b) {
    leave_when_asked();
    Block block = checkpoint.load_block(b, products);
    if (!run_dir.empty())
      apply(
          io::read_block(std::filesystem::path(run_dir) / "blocks" / io::block_file_name(b)).layers,
          products, block);
    if (products == Products::bfloat16)  // nobody multiplies the others
      for (Layer& layer : block.layers) layer.weight = {};
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace

void generate(const RunSpec& spec, const GenerateOptions& options,
              const std::function<void(std::int32_t token)>& tell) {
  const io::Checkpoint checkpoint(
      spec.model.path, options.run_dir.empty() ? io::Codes::allowed : io::Codes::refused);
  const ModelSpec& model = checkpoint.spec();
  check(options, model);
  if (!options.run_dir.empty()) require_complete(options.run_dir, checkpoint);
  const Products products = model::resolved_products(model, spec.run.products);
  const Index most = static_cast<Index>(options.prompt.size()) + options.tokens;
  require_room(checkpoint, products, most);

  const std::vector<Block> blocks = load_blocks(checkpoint, options.run_dir, products);
  const ModelEnds ends = checkpoint.load_ends();
  const eval::OutputHead head(ends.head().view(), products,
                              static_cast<float>(model.final_soft_cap));
  std::vector<model::Past> pasts;
  for (const Block& block : blocks) pasts.emplace_back(model, block, most);

  eval::Sampler sampler(options.sampling);
  std::vector<std::int32_t> fresh = options.prompt;  // not yet seen by the model
  Index seen = 0;
  std::vector<float> logits(static_cast<std::size_t>(head.vocabulary()));
  for (Index told = 0; told < options.tokens; ++told) {
    leave_when_asked();
    const auto count = static_cast<Index>(fresh.size());
    Matrix<float> hidden = model::embed(model, ends, {fresh.data(), 1, count, count}, seen);
    for (std::size_t b = 0; b < blocks.size(); ++b)
      hidden = model::forward(model, blocks[b], hidden.view(), products, pasts[b]);
    seen += count;
    const auto last = model::head_input(model, ends, hidden.view().rows_from(count - 1, 1));
    head.logits(last.view(), {logits.data(), 1, head.vocabulary(), head.vocabulary()});
    if (!std::all_of(logits.begin(), logits.end(), [](float y) { return std::isfinite(y); }))
      throw NumericalError("generate: the logits behind token " + std::to_string(seen) +
                           " are not finite");
    const auto token = static_cast<std::int32_t>(sampler.draw(logits));
    tell(token);
    if (std::find(options.stops.begin(), options.stops.end(), token) != options.stops.end()) return;
    fresh = {token};
  }
}

}  // namespace constrictor::pipeline
