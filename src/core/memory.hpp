// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace constrictor {

/// Bytes that may still be allocated on this node: what the kernel calls available, or what the
/// control groups of this process (a Slurm job's limit, a container's) leave of it.
std::int64_t available_memory();

/// Largest resident size of this process so far, bytes.
std::int64_t peak_memory();

/// Freed memory stays with the process: the same sizes are asked for again and again, and pages fresh from
/// the system cost as much as the work on them. Call once, at the start.
void keep_freed_memory();
/// ... but for single allocations of this size and more, which go back to the system when freed.
inline constexpr std::int64_t kept_below = 32 << 20;

/// "812 B", "3.2 MiB", "140 GiB".
std::string bytes_text(double bytes);

namespace detail {
/// What the control groups under `root` (/sys/fs/cgroup) leave to the process whose membership is
/// listed in `membership` (/proc/self/cgroup), versions 1 and 2; a huge number when there is no
/// limit.
std::int64_t memory_left_by_control_groups(const std::string& root, const std::string& membership);
}  // namespace detail

}  // namespace constrictor
