// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace constrictor::io {

/// When a process of this machine started, in clock ticks since boot; "" when there is none with
/// this number (a zombie counts as none). With the number it names a process for good: numbers are
/// reused.
std::string process_start(std::int64_t pid);

/// True when this machine runs the process `pid` that started at `start`.
bool is_alive(std::int64_t pid, const std::string& start);

}  // namespace constrictor::io
