// SPDX-License-Identifier: Apache-2.0
// What tests/fuzz does with libFuzzer, here with a fixed generator and any compiler: broken headers
// end in a header or a UserError, and an accepted header never points outside the file.
#include <random>

#include "test_support.hpp"

namespace constrictor::io {
namespace {

using Generator = std::mt19937_64;

std::size_t below(Generator& random, std::size_t limit) {
  return limit == 0 ? 0 : random() % limit;
}

std::string mutated(std::string image, Generator& random) {
  static const std::vector<std::string> pieces = {"{",
                                                  "}",
                                                  "[",
                                                  "]",
                                                  ",",
                                                  ":",
                                                  "\"",
                                                  "-1",
                                                  "0",
                                                  "18446744073709551615",
                                                  "9223372036854775807",
                                                  "1e400",
                                                  "null",
                                                  "\"dtype\"",
                                                  "\"shape\"",
                                                  "\"data_offsets\"",
                                                  "__metadata__",
                                                  "\xff",
                                                  "\\u0000",
                                                  "\\ud800",
                                                  "4294967296",
                                                  "[[",
                                                  "{\"a\":{"};
  for (std::size_t n = 1 + below(random, 4); n > 0; --n) {
    const std::size_t at = below(random, image.size());
    switch (random() % 6) {
      case 0:
        if (!image.empty()) image[at] = static_cast<char>(random());
        break;
      case 1:
        if (!image.empty()) image[at] ^= static_cast<char>(1 << random() % 8);
        break;
      case 2:
        image.erase(at, 1 + below(random, 8));
        break;
      case 3:
        image.insert(at, pieces[below(random, pieces.size())]);
        break;
      case 4:
        image.resize(at);
        break;
      case 5:
        image.insert(at, image.substr(below(random, image.size()), below(random, 40)));
        break;
    }
  }
  return image;
}

TEST(SafetensorsMutations, EndInAHeaderOrAUserError) {
  const std::vector<std::string> seeds = {
      safetensors_image(
          {{"model.norm.weight", "BF16", "[4]", std::string(8, 'x')},
           {"model.layers.0.mlp.down_proj.weight", "F32", "[2, 3]", std::string(24, 'x')},
           {"ids", "I64", "[]", std::string(8, 'x')}}),
      safetensors_image({{"a", "F16", "[2, 0]", ""}}), safetensors_image("{}", "")};
  Generator random(20240229);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string image = mutated(seeds[below(random, seeds.size())], random);
    if (i % 2 == 0 && image.size() >= 8) {  // half of them with a true length, to get past it
      const std::uint64_t length = std::min<std::uint64_t>(
          image.size() - 8, static_cast<std::uint64_t>(image.rfind('}') + 1) - 8);
      std::memcpy(image.data(), &length, 8);
    }
    try {
      const SafetensorsHeader header = parse_safetensors_header(
          std::as_bytes(std::span(image.data(), image.size())), image.size());
      ++accepted;
      for (const TensorEntry& tensor : header.tensors) {
        ASSERT_LE(tensor.begin, tensor.end);
        ASSERT_LE(tensor.end, image.size());
        ASSERT_GE(tensor.begin, header.bytes);
      }
    } catch (const UserError& error) {
      ++refused;
      ASSERT_FALSE(std::string(error.what()).empty());
    }
  }
  EXPECT_GT(accepted, 100);  // the mutations reach both ends
  EXPECT_GT(refused, 10000);
}

}  // namespace
}  // namespace constrictor::io
