// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>

#include "data/bench_report.hpp"

namespace constrictor::io {

/// Writes the report as JSON, atomically; FileSystemError otherwise. Numbers in SI units (seconds,
/// bytes, operations per second).
void write_bench(const std::filesystem::path& path, const BenchReport& report);

}  // namespace constrictor::io
