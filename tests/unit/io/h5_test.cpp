// SPDX-License-Identifier: Apache-2.0
#include "io/h5.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "test_support.hpp"

namespace constrictor::io {
namespace {

TEST(H5, AttributesComeBack) {
  const TemporaryFolder folder;
  const std::string deck(200000, 'd');  // more than the 64 KiB of an object header
  {
    H5File file = H5File::create(folder / "a.h5");
    file.set_attribute("text", "λ and é");
    file.set_attribute("empty", "");
    file.set_attribute("deck", deck);
    file.set_attribute("int", 7);
    file.set_attribute("large", std::numeric_limits<std::int64_t>::min());
    file.set_attribute("double", 0.1);
    file.set_attribute("nan", std::nan(""));
    file.set_attribute("yes", true);
    file.set_attribute("no", false);
    file.set_attribute("int", 8);  // replaces
    file.close();
  }
  const H5File file = H5File::open(folder / "a.h5");
  EXPECT_EQ(file.attribute<std::string>("text"), "λ and é");
  EXPECT_EQ(file.attribute<std::string>("empty"), "");
  EXPECT_EQ(file.attribute<std::string>("deck"), deck);
  EXPECT_EQ(file.attribute<std::int64_t>("int"), 8);
  EXPECT_EQ(file.attribute<double>("int"), 8.0);
  EXPECT_EQ(file.attribute<std::int64_t>("large"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(file.attribute<double>("double"), 0.1);
  EXPECT_TRUE(std::isnan(file.attribute<double>("nan")));
  EXPECT_TRUE(file.attribute<bool>("yes"));
  EXPECT_FALSE(file.attribute<bool>("no"));
  EXPECT_TRUE(file.has_attribute("text"));
  EXPECT_FALSE(file.has_attribute("texts"));
  EXPECT_THROW(file.attribute<std::string>("int"), LibraryError);
  EXPECT_THROW(file.attribute<std::int64_t>("double"), LibraryError);
  EXPECT_THROW(file.attribute<bool>("text"), LibraryError);
  EXPECT_CONTAINS(message_of<LibraryError>([&] { file.attribute<double>("none"); }), "a.h5@none");
}

template <class T>
void round_trip(H5File& file, const std::string& name, Index rows, Index cols) {
  Matrix<T> values(rows, cols);
  std::mt19937 random(17);
  for (T& value : values.values()) value = static_cast<T>(random() % 251);
  file.write(name, values);
  const Matrix<T> back = file.matrix<T>(name);
  ASSERT_EQ(back.rows(), rows);
  ASSERT_EQ(back.cols(), cols);
  EXPECT_TRUE(std::equal(values.values().begin(), values.values().end(), back.values().begin()));
  EXPECT_EQ(file.shape(name), (std::vector<Index>{rows, cols}));
}

TEST(H5, DatasetsComeBackSmallAndLarge) {
  const TemporaryFolder folder;
  H5File file = H5File::create(folder / "a.h5");
  const std::vector<std::pair<Index, Index>> shapes = {
      {0, 0}, {0, 5}, {5, 0}, {1, 1}, {3, 7}, {1025, 1031}, {1, 1300001}, {1300001, 1}};
  int i = 0;
  for (const auto& [rows, cols] : shapes) {
    const std::string tail = std::to_string(i++);
    round_trip<std::uint8_t>(file, "u8_" + tail, rows, cols);
    round_trip<std::uint16_t>(file, "u16_" + tail, rows, cols);
    round_trip<std::int32_t>(file, "i32_" + tail, rows, cols);
    round_trip<std::int64_t>(file, "i64_" + tail, rows, cols);
    round_trip<float>(file, "f32_" + tail, rows, cols);
    round_trip<double>(file, "f64_" + tail, rows, cols);
  }
}

TEST(H5, MoreDimensionsAreStackedAndVectorsAreRows) {
  const TemporaryFolder folder;
  H5File file = H5File::create(folder / "a.h5");
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  file.write<float>("cube", values, {3, 2, 2});
  file.write("line", values);
  EXPECT_EQ(file.shape("cube"), (std::vector<Index>{3, 2, 2}));
  EXPECT_EQ(file.matrix<float>("cube").rows(), 6);
  EXPECT_EQ(file.matrix<float>("cube")(5, 1), 12);
  EXPECT_EQ(file.matrix<float>("line").rows(), 1);
  EXPECT_EQ(file.vector<float>("cube"), values);
  EXPECT_THROW(file.write<float>("wrong", values, {5, 2}), Bug);
}

TEST(H5, NoNumberIsBentOnReading) {
  const TemporaryFolder folder;
  H5File file = H5File::create(folder / "a.h5");
  file.write("i64", std::vector<std::int64_t>{1});
  file.write("u8", std::vector<std::uint8_t>{200});
  file.write("f64", std::vector<double>{0.1});
  EXPECT_THROW(file.vector<std::int32_t>("i64"), LibraryError);
  EXPECT_THROW(file.vector<float>("i64"), LibraryError);
  EXPECT_THROW(file.vector<std::int64_t>("f64"), LibraryError);
  EXPECT_EQ(file.vector<std::int32_t>("u8")[0], 200);
  EXPECT_EQ(file.vector<float>("f64")[0], 0.1f);
  EXPECT_CONTAINS(message_of<LibraryError>([&] { file.vector<float>("none"); }), "a.h5/none");
}

TEST(H5, GroupsAndExternalLinks) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "blocks");
  {
    H5File block = H5File::create(folder / "blocks/0000.h5");
    H5Group layer = block.create_group("self_attn.q_proj");
    layer.set_attribute("bits", 2);
    block.close();
    H5File run = H5File::create(folder / "run.h5");
    H5Group blocks = run.create_group("blocks");
    blocks.link_external("0000", "blocks/0000.h5", "/");
    blocks.link_external("0001", "blocks/0001.h5", "/");
    run.close();
  }
  const H5File run = H5File::open(folder / "run.h5");
  EXPECT_EQ(run.names(), std::vector<std::string>{"blocks"});
  EXPECT_EQ(run.group("blocks").names(), (std::vector<std::string>{"0000", "0001"}));
  const H5Group layer = run.group("blocks").group("0000").group("self_attn.q_proj");
  EXPECT_EQ(layer.attribute<std::int64_t>("bits"), 2);
  EXPECT_THROW(run.group("blocks").group("0001"), LibraryError);  // not there yet
  EXPECT_FALSE(run.has("evaluation"));
  EXPECT_THROW(run.group("evaluation"), LibraryError);
}

TEST(H5, EqualContentGivesEqualBytes) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name) {
    H5File file = H5File::create(folder / name);
    file.set_attribute("text", "words");
    H5Group group = file.create_group("group");
    group.set_attribute("value", 1.5);
    Matrix<float> large(1024, 1024);
    large(7, 7) = 7;
    group.write("large", large);
    group.write("small", std::vector<std::uint8_t>(33, 1));
    group.create_group("empty");
    file.close();
    return read_bytes(folder / name);
  };
  const std::string first = write("one.h5");
  ::sleep(1);  // time stamps have seconds
  EXPECT_EQ(first, write("two.h5"));
  EXPECT_LT(first.size(), 500000u);  // 4 MiB of zeros are compressed
}

TEST(H5, FilesAreNotLocked) {
  const TemporaryFolder folder;
  H5File writing = H5File::create(folder / "a.h5");
  EXPECT_STREQ(std::getenv("HDF5_USE_FILE_LOCKING"), "FALSE");
}

TEST(H5, WhatCannotBeOpenedIsNamed) {
  const TemporaryFolder folder;
  write_bytes(folder / "text.h5", "no HDF5 at all");
  EXPECT_FALSE(H5File::is_hdf5(folder / "text.h5"));
  EXPECT_FALSE(H5File::is_hdf5(folder / "none.h5"));
  EXPECT_CONTAINS(message_of<LibraryError>([&] { H5File::open(folder / "text.h5"); }),
                  "text.h5: HDF5: ");
  EXPECT_CONTAINS(message_of<LibraryError>([&] { H5File::create(folder / "no/such/a.h5"); }),
                  "No such file or directory");
}

TEST(H5, ATruncatedFileIsRefusedWhateverItsLength) {
  const TemporaryFolder folder;
  {
    H5File file = H5File::create(folder / "a.h5");
    file.set_attribute("text", "words");
    file.write("values", std::vector<std::int32_t>(5000, 3));
    file.close();
  }
  const std::string whole = read_bytes(folder / "a.h5");
  for (std::size_t length = 0; length < whole.size(); length += 97) {
    write_bytes(folder / "b.h5", whole.substr(0, length));
    EXPECT_THROW(H5File::open(folder / "b.h5").vector<std::int32_t>("values"), LibraryError)
        << length;
  }
}

}  // namespace
}  // namespace constrictor::io
