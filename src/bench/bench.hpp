// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "comm/communicator.hpp"
#include "data/specs.hpp"
#include "device/device.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::bench {

struct BenchOptions {
  std::string shape;  // bench_shapes.hpp
  Index blocks = 2;   // measured ones
  Index length = 2048;
  std::uint64_t seed = 1;
  std::string json;      // file to write; empty: none
  bool scaling = false;  // predict more ranks
  double link = 50e9;    // bytes per second between ranks, for `scaling`
  device::Device device;
  std::string threads;  // description
};

/// Collective: `constrictor bench`. The phases of a run on random blocks and hidden states of a
/// real model's shape: seconds, rates, share of the product peak measured before, peak memory; on
/// the screen and as JSON. spec.calibration.sequences sequences; spec.quant and spec.run as in a
/// run. UserError when shape or numbers make no sense, MemoryError when they cannot fit.
void bench(const comm::Communicator& ranks, const RunSpec& spec, const BenchOptions& options,
           pipeline::Screen& screen);

}  // namespace constrictor::bench
