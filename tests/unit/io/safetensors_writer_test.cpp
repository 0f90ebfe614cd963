// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_writer.hpp"

#include "test_support.hpp"

namespace constrictor::io {
namespace {

std::span<const std::byte> bytes_of_text(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(SafetensorsWriter, TensorsComeInAnyOrderAndInPieces) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder.path(),
                           {{"c", "BF16", {3}}, {"b", "I64", {1}}, {"a", "U8", {1, 5}}});
  writer.write("a", bytes_of_text("hello"));
  writer.write("c", bytes_of_text("cdef"), 2);
  writer.write("b", bytes_of_text("12345678"));
  writer.write("c", bytes_of_text("ab"));
  writer.finish();
  EXPECT_EQ(writer.files(), 1u);
  EXPECT_EQ(std::filesystem::file_size(folder / "model.safetensors"), writer.bytes());
  const SafetensorsFile file(folder / "model.safetensors");
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  // Large elements first, each at a multiple of its size.
  EXPECT_EQ(file.header().find("b")->begin % 8, 0u);
  EXPECT_LT(file.header().find("b")->begin, file.header().find("c")->begin);
  EXPECT_LT(file.header().find("c")->begin, file.header().find("a")->begin);
  const auto tensors = read_all(folder / "model.safetensors");
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].bytes, "hello");
  EXPECT_EQ(tensors[1].bytes, "12345678");
  EXPECT_EQ(tensors[2].bytes, "abcdef");
  EXPECT_EQ(tensors[2].shape, "[3]");
}

TEST(SafetensorsWriter, FilesOfLimitedSizeWithAnIndex) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(
      folder.path(), {{"a", "U8", {6}}, {"b", "U8", {4}}, {"c", "U8", {20}}, {"d", "U8", {1}}}, 10);
  for (const auto& [name, text] :
       {std::pair("a", "aaaaaa"), {"b", "bbbb"}, {"c", "cccccccccccccccccccc"}, {"d", "d"}})
    writer.write(name, bytes_of_text(text));
  writer.finish();
  EXPECT_EQ(writer.files(), 3u);
  EXPECT_EQ(read_all(folder / "model-00001-of-00003.safetensors").size(), 2u);
  EXPECT_EQ(read_all(folder / "model-00002-of-00003.safetensors")[0].name, "c");
  EXPECT_EQ(read_all(folder / "model-00003-of-00003.safetensors")[0].bytes, "d");
  const std::string index = read_bytes(folder / "model.safetensors.index.json");
  EXPECT_CONTAINS(index, "\"total_size\": 31");
  EXPECT_CONTAINS(index, "\"d\": \"model-00003-of-00003.safetensors\"");
}

TEST(SafetensorsWriter, WhatIsMissingIsABug) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder.path(), {{"a", "U8", {6}}});
  writer.write("a", bytes_of_text("aaa"));
  EXPECT_THROW(writer.finish(), Bug);
  EXPECT_THROW(writer.write("a", bytes_of_text("aaaa"), 3), Bug);
}

TEST(SafetensorsWriter, AFolderThatIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_CONTAINS(message_of<FileSystemError>([&] {
                    SafetensorsWriter(folder / "none", {{"a", "U8", {6}}});
                  }),
                  "none/model.safetensors: cannot be written");
}

}  // namespace
}  // namespace constrictor::io
