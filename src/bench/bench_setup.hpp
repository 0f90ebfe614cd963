// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside of `constrictor bench`: what is settled before the first block.

#include <vector>

#include "bench/bench.hpp"
#include "bench/bench_work.hpp"
#include "bench/product_peak.hpp"

namespace constrictor::bench {

/// What stays the same over the blocks.
struct BenchSetup {
  const comm::Communicator& ranks;
  const RunSpec& spec;
  const BenchOptions& options;
  ModelSpec model;
  Products products;
  ProductPeak peak{};  // of all ranks
  calib::Shard shard{};

  double products_peak() const {
    return products == Products::bfloat16 ? peak.bfloat16 : peak.float32;
  }
};

/// UserError when the numbers of the command line do not fit the shape.
void check(const comm::Communicator& ranks, const RunSpec& spec, const BenchOptions& options,
           const ModelSpec& model);

/// Options of each layer of a block, overrides applied.
std::vector<QuantSpec> specs_of(const ModelSpec& model, const RunSpec& run, Index block);

/// The one step in which bench quantizes a block.
backend::BlockStep whole_block(const ModelSpec& model);

/// What a block asks for, before any of it is done; `paths` as in bench_work.hpp.
struct Demand {
  SumShape shape;
  PhaseNumbers operations, device_bytes;
  schedule::BlockOnOneRank shares;
  double bytes = 0;  // at least, on this rank
};
Demand demand_of(const BenchSetup& setup, Index index, const backend::TaskCut& cut);

/// Of one block. Good to a factor of two or three: shares of the product peak that phases reach.
double expected_seconds(const BenchSetup& setup, const Demand& demand);

/// MemoryError when the ranks of this node cannot have `bytes` each.
void require_memory(const BenchSetup& setup, double bytes);

}  // namespace constrictor::bench
