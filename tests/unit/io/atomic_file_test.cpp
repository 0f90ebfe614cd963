// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.hpp"

#include <sys/mount.h>

#include <random>

#include "test_support.hpp"

namespace constrictor::io {
namespace {

std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(AtomicFile, TextIsThereUnderItsNameAlone) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "a", "first");
  write_text_atomically(folder / "a", "second");
  write_text_atomically(folder / "empty", "");
  EXPECT_EQ(read_bytes(folder / "a"), "second");
  EXPECT_EQ(read_bytes(folder / "empty"), "");
  EXPECT_EQ(files_in(folder.path()), (std::vector<std::string>{"a", "empty"}));
}

TEST(AtomicFile, ARelativePathWithoutAFolderWorks) {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_text_atomically("a", "text");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_bytes(folder / "a"), "text");
}

TEST(AtomicFile, WithoutCommitNothingIsLeftAndTheOldFileStays) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "a", "old");
  {
    const AtomicFile file(folder / "a");
    write_bytes(file.partial(), "half of the n");
    EXPECT_EQ(files_in(folder.path()), (std::vector<std::string>{"a", "a.partial"}));
  }
  EXPECT_EQ(read_bytes(folder / "a"), "old");
  EXPECT_EQ(files_in(folder.path()), std::vector<std::string>{"a"});
}

TEST(AtomicFile, AnErrorWhileFillingIsPassedOnAndNothingIsLeft) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_h5_atomically(folder / "a.h5",
                                   [](H5File& file) {
                                     file.set_attribute("one", 1);
                                     throw NumericalError("NaN");
                                   }),
               NumericalError);
  EXPECT_TRUE(files_in(folder.path()).empty());
}

TEST(AtomicFile, FailuresNameTheFinalPathAndTheReason) {
  const TemporaryFolder folder;
  const auto path = folder / "no/a";
  EXPECT_EQ(message_of<FileSystemError>([&] { write_text_atomically(path, "x"); }),
            path.string() + ": cannot be written: No such file or directory");
  EXPECT_CONTAINS(message_of<FileSystemError>([&] { write_h5_atomically(path, [](H5File&) {}); }),
                  path.string() + ": cannot be written: ");
  std::filesystem::create_directory(folder / "taken");
  EXPECT_CONTAINS(
      message_of<FileSystemError>([&] { write_text_atomically(folder / "taken", "x"); }),
      "taken: cannot be written: Is a directory");
  EXPECT_EQ(files_in(folder.path()), std::vector<std::string>{"taken"});
}

/// A file system of 200 KiB.
class SmallDisk {
 public:
  SmallDisk() : mounted_(::mount("tmpfs", path().c_str(), "tmpfs", 0, "size=200k") == 0) {}
  ~SmallDisk() {
    if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::uintmax_t free_bytes() const { return std::filesystem::space(path()).available; }

 private:
  TemporaryFolder folder_;
  bool mounted_;
};

TEST(AtomicFile, AFullDiskEndsTextInOneSentence) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs is not allowed here";
  const auto path = disk.path() / "a";
  EXPECT_EQ(
      message_of<FileSystemError>([&] { write_text_atomically(path, std::string(300000, 'x')); }),
      path.string() + ": cannot be written: No space left on device");
  EXPECT_TRUE(files_in(disk.path()).empty());
  EXPECT_EQ(disk.free_bytes(), 200u * 1024);
}

/// Whatever the size at which the disk becomes full - while data are written, or only when HDF5
/// flushes what it kept, or at the close - the ending is the same, and the next file can be
/// written.
TEST(AtomicFile, AFullDiskEndsHdf5InOneSentence) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs is not allowed here";
  const auto path = disk.path() / "a.h5";
  write_h5_atomically(path, [](H5File& file) { file.set_attribute("old", 1); });
  const std::uintmax_t free_before = disk.free_bytes();
  int refused = 0, written = 0;
  for (Index kilobytes = 100; kilobytes <= 2000; kilobytes += kilobytes < 220 ? 3 : 300) {
    const auto fill = [&](H5File& file) {
      std::mt19937 random(7);  // does not compress
      Matrix<std::uint8_t> values(kilobytes, 1024);
      for (auto& value : values.values()) value = static_cast<std::uint8_t>(random());
      H5Group group = file.create_group("self_attn.q_proj");
      group.write("codes", values);
      for (int i = 0; i < 40; ++i)
        group.set_attribute("text" + std::to_string(i), std::string(50, 'x'));
      group.write("row_loss", std::vector<float>(100, 1));
    };
    try {
      write_h5_atomically(path, fill);
      ++written;
      EXPECT_EQ(H5File::open(path).group("self_attn.q_proj").matrix<std::uint8_t>("codes").rows(),
                kilobytes);
      write_h5_atomically(path, [](H5File& file) { file.set_attribute("old", 1); });
    } catch (const FileSystemError& error) {
      ++refused;
      EXPECT_EQ(std::string(error.what()).find(path.string() + ": cannot be written: "), 0u);
      EXPECT_CONTAINS(error.what(), "No space left on device");
    }
    EXPECT_EQ(files_in(disk.path()), std::vector<std::string>{"a.h5"}) << kilobytes;
    EXPECT_EQ(H5File::open(path).attribute<std::int64_t>("old"), 1) << kilobytes;
    EXPECT_EQ(disk.free_bytes(), free_before) << kilobytes;
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(written, 10);
}

}  // namespace
}  // namespace constrictor::io
