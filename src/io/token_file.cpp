// SPDX-License-Identifier: Apache-2.0
#include "io/token_file.hpp"

#include "core/error.hpp"
#include "io/h5.hpp"
#include "io/mapped_file.hpp"
#include "io/sha256.hpp"

namespace constrictor::io {
namespace {

constexpr std::int64_t token_schema = 1;

[[noreturn]] void refuse(const std::string& path, const std::string& sentence) {
  throw UserError(path + ": " + sentence);
}

Tokens read(const std::string& path) {
  const H5File file = H5File::open(path);
  if (!file.has_attribute("schema"))
    refuse(path, "is no token file: the attribute \"schema\" is missing");
  const auto schema = file.attribute<std::int64_t>("schema");
  if (schema != token_schema)
    refuse(path, "has token file schema " + std::to_string(schema) + "; this program knows 1");
  for (const char* name : {"purpose", "vocab_size", "tokenizer_sha256", "tokens_sha256"})
    if (!file.has_attribute(name))
      refuse(path, "the attribute \"" + std::string(name) + "\" is missing");
  if (!file.has("tokens")) refuse(path, "the dataset \"tokens\" is missing");
  if (file.shape("tokens").size() != 2)
    refuse(path, "the dataset \"tokens\" must have the shape [sequences, length]");

  Tokens tokens;
  tokens.path = path;
  tokens.ids = file.matrix<std::int32_t>("tokens");
  tokens.vocabulary = file.attribute<std::int64_t>("vocab_size");
  tokens.purpose = file.attribute<std::string>("purpose");
  tokens.tokens_sha256 = file.attribute<std::string>("tokens_sha256");
  tokens.tokenizer_sha256 = file.attribute<std::string>("tokenizer_sha256");
  if (file.has_attribute("text_name")) tokens.text_name = file.attribute<std::string>("text_name");
  if (file.has_attribute("sampler")) tokens.sampler = file.attribute<std::string>("sampler");
  return tokens;
}

void check_ids(const Tokens& tokens) {
  if (tokens.ids.empty()) refuse(tokens.path, "holds no tokens");
  const std::string found = sha256(std::as_bytes(tokens.ids.values()));
  if (found != tokens.tokens_sha256)
    refuse(tokens.path, "the tokens were changed: their SHA-256 is " + found +
                            ", but the file says " + tokens.tokens_sha256);
  for (Index sequence = 0; sequence < tokens.sequences(); ++sequence)
    for (Index position = 0; position < tokens.length(); ++position) {
      const std::int32_t id = tokens.ids(sequence, position);
      if (id < 0 || id >= tokens.vocabulary)
        refuse(tokens.path, "token " + std::to_string(id) + " at [" + std::to_string(sequence) +
                                ", " + std::to_string(position) +
                                "] lies outside the vocabulary of " +
                                std::to_string(tokens.vocabulary));
    }
}

}  // namespace

Tokens read_tokens(const std::filesystem::path& path) {
  const MappedFile readable(path);  // says why a file cannot be opened better than HDF5 does
  if (!H5File::is_hdf5(path)) refuse(path.string(), "is not an HDF5 file");
  try {
    Tokens tokens = read(path.string());
    check_ids(tokens);
    return tokens;
  } catch (const LibraryError& error) {
    throw UserError(std::string(error.what()) + " (damaged token file?)");
  }
}

void check_tokens(const Tokens& tokens, const ModelSpec& spec,
                  const std::string& model_tokenizer_sha256, const std::string& wanted_sha256) {
  if (!wanted_sha256.empty() && tokens.tokens_sha256 != wanted_sha256)
    refuse(tokens.path,
           "holds the tokens " + tokens.tokens_sha256 + ", but the deck asks for " + wanted_sha256);
  if (!model_tokenizer_sha256.empty() && tokens.tokenizer_sha256 != model_tokenizer_sha256)
    refuse(tokens.path, "was made with another tokenizer (tokenizer.json " +
                            tokens.tokenizer_sha256 + ", the model's is " + model_tokenizer_sha256 +
                            ")");
  if (tokens.vocabulary > spec.vocabulary)
    refuse(tokens.path, "has a vocabulary of " + std::to_string(tokens.vocabulary) +
                            ", but the model only one of " + std::to_string(spec.vocabulary));
  if (tokens.length() > spec.max_positions)
    refuse(tokens.path, "has sequences of " + std::to_string(tokens.length()) +
                            " tokens, but the model only " + std::to_string(spec.max_positions) +
                            " positions");
}

}  // namespace constrictor::io
