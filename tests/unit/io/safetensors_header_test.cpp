// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_header.hpp"

#include "test_support.hpp"

namespace constrictor::io {
namespace {

SafetensorsHeader parse(const std::string& image) {
  return parse_safetensors_header(std::as_bytes(std::span(image.data(), image.size())),
                                  image.size());
}

/// The complaint about a header with `data_bytes` bytes of data behind it.
std::string complaint(const std::string& json, std::size_t data_bytes) {
  return message_of<UserError>(
      [&] { parse(safetensors_image(json, std::string(data_bytes, 'x'))); });
}

const std::string good = R"({"b": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},)"
                         R"("a": {"data_offsets": [12, 16], "shape": [], "dtype": "F32"},)"
                         R"("none": {"dtype": "I64", "shape": [4, 0], "data_offsets": [12, 12]},)"
                         R"("__metadata__": {"format": "pt", "by": "é"}}   )";

TEST(SafetensorsHeader, ReadsWhatIsThere) {
  const SafetensorsHeader header = parse(safetensors_image(good, std::string(16, 'x')));
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "a");  // sorted
  EXPECT_EQ(header.bytes, 8 + good.size());
  const TensorEntry* b = header.find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::vector<Index>{2, 3}));
  EXPECT_EQ(b->dtype, "F16");
  EXPECT_EQ(b->begin, header.bytes);
  EXPECT_EQ(b->end, header.bytes + 12);
  EXPECT_TRUE(header.find("a")->shape.empty());
  EXPECT_EQ(header.find("c"), nullptr);
  EXPECT_EQ(header.find(""), nullptr);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, AFileWithoutTensorsIsFine) {
  EXPECT_TRUE(parse(safetensors_image("{}", "")).tensors.empty());
  EXPECT_CONTAINS(complaint("{}", 1),
                  "the tensors end at byte 0 of the data, but the file holds 1");
}

TEST(SafetensorsHeader, EveryTruncationIsRefused) {
  const std::string image = safetensors_image(good, std::string(16, 'x'));
  for (std::size_t length = 0; length < image.size(); ++length)
    EXPECT_THROW(parse(image.substr(0, length)), UserError) << length;
  EXPECT_THROW(parse(image + "x"), UserError);
}

TEST(SafetensorsHeader, LengthFieldIsNotBelieved) {
  std::string image = safetensors_image(good, std::string(16, 'x'));
  image[7] = '\x7f';  // 2^62 and more
  EXPECT_CONTAINS(message_of<UserError>([&] { parse(image); }), "limit of 100 MB");
  image[7] = 0;
  image[2] = 1;  // 64 KiB more than there are
  EXPECT_CONTAINS(message_of<UserError>([&] { parse(image); }), "is it truncated?");
  EXPECT_CONTAINS(message_of<UserError>([&] { parse(safetensors_image("", "")); }), "'{'");
}

struct BadHeader {
  std::string json;
  std::size_t data_bytes;
  std::string complaint;
};

TEST(SafetensorsHeader, EachDefectHasItsOwnSentence) {
  const auto one = [](const std::string& inside) { return R"({"t": {)" + inside + "}}"; };
  const std::vector<BadHeader> cases = {
      {"[]", 0, "does not start with '{'"},
      {"{", 0, "is not valid JSON at byte"},
      {"{} x", 0, "is not valid JSON at byte"},
      {"{\"a\xff\": {}}", 0, "is not valid JSON at byte"},
      {one(R"("dtype": "F32", "shape": [1])"), 4, "tensor t has no data_offsets"},
      {one(R"("dtype": "F32", "data_offsets": [0, 4])"), 4, "tensor t has no shape"},
      {one(R"("dtype": "F32", "dtype": "F32")"), 4, "tensor t has two dtype"},
      {one(R"("colour": "F32")"), 4, "tensor t has an unknown key colour"},
      {one(R"("dtype": 3)"), 4, "has a number where none belongs, in t"},
      {one(R"("dtype": ["F32"])"), 4, "has an array where none belongs, in t"},
      {one(R"("shape": "F32")"), 4, "has a string where none belongs, in t"},
      {one(R"("shape": [[1]])"), 4, "has an array where none belongs, in t"},
      {one(R"("shape": [-1])"), 4, "has a negative number where none belongs, in t"},
      {one(R"("shape": [1.0])"), 4, "has a number that is no integer where none belongs"},
      {one(R"("shape": [1e30])"), 4, "has a number that is no integer where none belongs"},
      {one(R"("shape": [18446744073709551615])"), 4, "a number beyond all sizes"},
      {one(R"("shape": [99999999999999999999])"), 4, "has a number that is no integer"},
      {one(R"("shape": [null])"), 4, "has null where none belongs"},
      {one(R"("shape": [true])"), 4, "has true or false where none belongs"},
      {one(R"("shape": {"a": 1})"), 4, "nests deeper"},
      {one(R"("shape": [{}])"), 4, "nests deeper"},
      {one(R"("dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4])"), 4, "not a pair"},
      {one(R"("dtype": "F32", "shape": [1], "data_offsets": [0])"), 4, "not a pair"},
      {one(R"("dtype": "F31", "shape": [1], "data_offsets": [0, 4])"), 4, "unknown dtype F31"},
      {one(R"("dtype": "F32", "shape": [2], "data_offsets": [0, 4])"), 4, "do not fit shape [2]"},
      {one(R"("dtype": "F4", "shape": [3], "data_offsets": [0, 1])"), 1, "do not fit shape [3]"},
      {one(R"("dtype": "F32", "shape": [1], "data_offsets": [4, 0])"), 4, "do not fit shape [1]"},
      {one(R"("dtype": "F32", "shape": [4611686018427387904, 4611686018427387904],)"
           R"("data_offsets": [0, 0])"),
       0, "do not fit shape"},  // 2^124 bytes: 0 after overflow
      {one(R"("dtype": "F32", "shape": [2], "data_offsets": [0, 8])"), 4, "is it truncated?"},
      {one(R"("dtype": "F32", "shape": [1], "data_offsets": [4, 8])"), 8, "leaves a hole"},
      {one(R"("dtype": "F32", "shape": [1], "data_offsets": [0, 4])"), 8,
       "the tensors end at byte 4"},
      {R"({"t": 1})", 0, "has a number where none belongs"},
      {R"({"t": "x"})", 0, "has a string where none belongs"},
      {R"({"t": []})", 0, "has an array where none belongs"},
      {R"({"__metadata__": {"a": 1}})", 0, "has a number where none belongs"},
      {R"({"__metadata__": {"a": "x", "a": "y"}})", 0, "has a twice"},
      {R"({"__metadata__": {}, "__metadata__": {}})", 0, "two __metadata__"},
      {R"({"__metadata__": {"a": {}}})", 0, "nests deeper"},
      {R"({"t": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},)"
       R"("t": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})",
       1, "tensor t twice"},
      {R"({"s": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},)"
       R"("t": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})",
       3, "tensor t overlaps the tensor before it"},
  };
  for (const BadHeader& bad : cases)
    EXPECT_CONTAINS(complaint(bad.json, bad.data_bytes), bad.complaint);
}

TEST(SafetensorsHeader, DeepNestingEndsAtTheFirstLevelThatIsTooDeep) {
  const std::string deep(5'000'000, '[');
  EXPECT_CONTAINS(complaint(R"({"t": {"shape": )" + deep, 0), "where none belongs");
  std::string objects = "{";
  for (int i = 0; i < 100000; ++i) objects += R"("a":{)";
  EXPECT_CONTAINS(complaint(objects, 0), "tensor a has an unknown key a");
}

TEST(SafetensorsHeader, TooManyDimensionsAreRefused) {
  std::string shape = "1";
  for (int i = 0; i < 40; ++i) shape += ", 1";
  EXPECT_CONTAINS(complaint(R"({"t": {"shape": [)" + shape + "]}}", 0), "more than 32 dimensions");
}

TEST(SafetensorsHeader, NamesInMessagesAreHarmless) {
  EXPECT_EQ(printable("a\x1b[31m\n"), "a?[31m?");
  EXPECT_EQ(printable(std::string(500, 'n')).size(), 123u);
}

}  // namespace
}  // namespace constrictor::io
