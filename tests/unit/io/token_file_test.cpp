// SPDX-License-Identifier: Apache-2.0
#include "io/token_file.hpp"

#include <functional>

#include "io/h5.hpp"
#include "io/sha256.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

struct TokenFile {
  std::vector<std::int32_t> ids = {0, 1, 2, 96, 4, 5};
  std::vector<Index> shape = {2, 3};
  std::int64_t schema = 1, vocabulary = 97;
  std::string hash;     // "" = the right one
  std::string missing;  // attribute left out
};

std::filesystem::path write(const TemporaryFolder& folder, const TokenFile& what) {
  H5File file = H5File::create(folder / "a.tokens.h5");
  file.write<std::int32_t>("tokens", what.ids, what.shape);
  file.write("start", std::vector<std::int64_t>(2, 0));
  if (what.missing != "schema") file.set_attribute("schema", what.schema);
  if (what.missing != "vocab_size") file.set_attribute("vocab_size", what.vocabulary);
  if (what.missing != "purpose") file.set_attribute("purpose", "calibration");
  file.set_attribute("text_name", "wikitext2-train");
  file.set_attribute("sampler", "windows");
  file.set_attribute("tokenizer_sha256", "the tokenizer");
  const std::string right = sha256(std::as_bytes(std::span(what.ids)));
  if (what.missing != "tokens_sha256")
    file.set_attribute("tokens_sha256", what.hash.empty() ? right : what.hash);
  file.close();
  return folder / "a.tokens.h5";
}

std::string complaint(const std::function<void(TokenFile&)>& spoil) {
  const TemporaryFolder folder;
  TokenFile what;
  spoil(what);
  const auto path = write(folder, what);
  const std::string text = message_of<UserError>([&] { read_tokens(path); });
  EXPECT_CONTAINS(text, path.string());
  return text;
}

TEST(TokenFile, IsReadAsWritten) {
  const TemporaryFolder folder;
  const Tokens tokens = read_tokens(write(folder, {}));
  EXPECT_EQ(tokens.sequences(), 2);
  EXPECT_EQ(tokens.length(), 3);
  EXPECT_EQ(tokens.ids(1, 0), 96);
  EXPECT_EQ(tokens.vocabulary, 97);
  EXPECT_EQ(tokens.purpose, "calibration");
  EXPECT_EQ(tokens.text_name, "wikitext2-train");
  EXPECT_EQ(tokens.sampler, "windows");
  EXPECT_EQ(tokens.tokenizer_sha256, "the tokenizer");
  EXPECT_EQ(tokens.path, (folder / "a.tokens.h5").string());
}

TEST(TokenFile, OfThePythonWriterIsRead) {
  const auto folder = std::filesystem::path(CONSTRICTOR_SOURCE_DIR) / "experiments/demo";
  if (!std::filesystem::exists(folder / "tokens/calibration.tokens.h5")) GTEST_SKIP();
  const Tokens tokens = read_tokens(folder / "tokens/calibration.tokens.h5");
  EXPECT_EQ(tokens.length(), 256);
  EXPECT_EQ(tokens.vocabulary, 2048);
  EXPECT_EQ(tokens.purpose, "calibration");
  EXPECT_EQ(tokens.tokenizer_sha256, sha256_of_file(folder / "model/tokenizer.json"));
}

TEST(TokenFile, EachDefectHasItsOwnSentence) {
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.schema = 2; }), "has token file schema 2");
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.missing = "schema"; }),
                  "is no token file: the attribute \"schema\" is missing");
  for (const char* name : {"vocab_size", "purpose", "tokens_sha256"})
    EXPECT_CONTAINS(complaint([&](TokenFile& f) { f.missing = name; }),
                    "the attribute \"" + std::string(name) + "\" is missing");
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.hash = "other"; }), "the tokens were changed");
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.ids[4] = 97; }),
                  "token 97 at [1, 1] lies outside the vocabulary of 97");
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.ids[0] = -1; }), "token -1 at [0, 0]");
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.shape = {6}; }), "[sequences, length]");
  EXPECT_CONTAINS(complaint([](TokenFile& f) { f.ids = {}, f.shape = {0, 3}; }), "holds no tokens");
}

TEST(TokenFile, WhatIsNoTokenFileIsSaidToBeNone) {
  const TemporaryFolder folder;
  const auto say = [&] { return message_of<UserError>([&] { read_tokens(folder / "a"); }); };
  EXPECT_CONTAINS(say(), "a: cannot be read: No such file or directory");
  write_bytes(folder / "a", "text");
  EXPECT_CONTAINS(say(), "a: is not an HDF5 file");
  write_bytes(folder / "a", "");
  EXPECT_CONTAINS(say(), "a: is not an HDF5 file");
  H5File file = H5File::create(folder / "a");
  for (const char* name : {"purpose", "tokenizer_sha256", "tokens_sha256"})
    file.set_attribute(name, "");
  file.set_attribute("schema", 1);
  file.set_attribute("vocab_size", 5);
  file.close();
  EXPECT_CONTAINS(say(), "the dataset \"tokens\" is missing");
  {
    H5File wrong = H5File::create(folder / "a");
    for (const char* name : {"purpose", "tokenizer_sha256", "tokens_sha256"})
      wrong.set_attribute(name, "");
    wrong.set_attribute("schema", 1);
    wrong.set_attribute("vocab_size", 5);
    wrong.write<float>("tokens", std::vector<float>(4), {2, 2});
    wrong.close();
  }
  EXPECT_CONTAINS(say(), "another type of number");
}

TEST(TokenFile, TruncatedAtAnyLengthIsRefused) {
  const TemporaryFolder folder;
  const std::string whole = read_bytes(write(folder, {}));
  for (std::size_t length = 0; length < whole.size(); length += 61) {
    write_bytes(folder / "b", whole.substr(0, length));
    EXPECT_THROW(read_tokens(folder / "b"), UserError) << length;
  }
}

TEST(TokenFile, IsComparedWithTheModelAndTheDeck) {
  const TemporaryFolder folder;
  const Tokens tokens = read_tokens(write(folder, {}));
  ModelSpec spec;
  spec.vocabulary = 97;
  spec.max_positions = 3;
  check_tokens(tokens, spec, "the tokenizer", tokens.tokens_sha256);
  check_tokens(tokens, spec, "", "");
  const auto say = [&](const std::string& tokenizer, const std::string& wanted) {
    return message_of<UserError>([&] { check_tokens(tokens, spec, tokenizer, wanted); });
  };
  EXPECT_CONTAINS(say("another", ""), "was made with another tokenizer");
  EXPECT_CONTAINS(say("", "abc"), "but the deck asks for abc");
  spec.vocabulary = 96;
  EXPECT_CONTAINS(say("", ""), "has a vocabulary of 97, but the model only one of 96");
  spec.vocabulary = 128;  // padded by the model: fine
  spec.max_positions = 2;
  EXPECT_CONTAINS(say("", ""), "has sequences of 3 tokens, but the model only 2 positions");
}

}  // namespace
}  // namespace constrictor::io
