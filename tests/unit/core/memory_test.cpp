// SPDX-License-Identifier: Apache-2.0
#include "core/memory.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

namespace constrictor {
namespace {

/// A made-up /sys/fs/cgroup.
class ControlGroups : public testing::Test {
 protected:
  ControlGroups() : root_(testing::TempDir() + "memory_test") {
    std::filesystem::remove_all(root_);
  }
  ~ControlGroups() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  std::int64_t left(const std::string& membership) {
    write("membership", membership);
    return detail::memory_left_by_control_groups(root_, root_ + "/membership");
  }
  std::string root_;
};
constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

TEST_F(ControlGroups, Version2TakesTheTightestGroupOnTheWayUp) {
  write("job/step/memory.max", "max");
  write("job/step/memory.current", "900");
  write("job/memory.max", "1000");
  write("job/memory.current", "700");
  write("job/memory.stat", "anon 400\ninactive_file 200");
  write("memory.max", "5000");
  EXPECT_EQ(left("0::/job/step"), 1000 - (700 - 200));
  EXPECT_EQ(left("0::/"), 5000);
}

TEST_F(ControlGroups, Version1) {
  write("memory/job/memory.limit_in_bytes", "1000");
  write("memory/job/memory.usage_in_bytes", "300");
  EXPECT_EQ(left("5:cpu,cpuacct:/job\n4:memory:/job\n1:name=systemd:/x"), 700);
  EXPECT_EQ(left("5:cpu:/job"), unlimited);
}

TEST_F(ControlGroups, NoLimitAndNoFiles) {
  EXPECT_EQ(left("0::/nowhere"), unlimited);
  EXPECT_EQ(left("nonsense"), unlimited);
  EXPECT_EQ(detail::memory_left_by_control_groups(root_, root_ + "/missing"), unlimited);
}

TEST_F(ControlGroups, AFullGroupLeavesNothing) {
  write("memory.max", "1000");
  write("memory.current", "1200");
  EXPECT_EQ(left("0::/"), 0);
}

TEST(Memory, PeakGrowsWithWhatIsTouched) {
  const std::int64_t before = peak_memory();
  EXPECT_GT(before, 1 << 20);
  std::vector<char> block(64 << 20);
  std::memset(block.data(), 1, block.size());
  EXPECT_GE(peak_memory(), before + (32 << 20)) << block[12345];
  EXPECT_GT(available_memory(), 0);
}

TEST(Memory, InWords) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(812), "812 B");
  EXPECT_EQ(bytes_text(1000), "1.0 KiB");
  EXPECT_EQ(bytes_text(3.2 * 1024 * 1024), "3.2 MiB");
  EXPECT_EQ(bytes_text(140.0 * 1024 * 1024 * 1024), "140 GiB");
}

}  // namespace
}  // namespace constrictor
