// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "vector_types.h"

namespace emulation {

struct Kernel {
  std::string name;
  std::function<void()> thread;  // what each thread calls
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  bool reversed =
      false;  // threads start from the last one: hides no missing barrier that way round
};

inline constexpr std::size_t most_shared_bytes = 227 << 10;  // of a block, compute capability 9.0

/// Runs one block of the grid on this thread of the operating system; empty when all went well,
/// else what went wrong.
std::string run_block(const Kernel& kernel, uint3 index);

}  // namespace emulation
