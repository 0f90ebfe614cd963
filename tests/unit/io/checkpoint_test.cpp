// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.hpp"

#include <cmath>

#include "io/sha256.hpp"
#include "io/stored_numbers.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

/// The raw bytes of a tensor of a model folder.
std::string stored(const std::filesystem::path& folder, const std::string& name) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors")
      for (const TestTensor& tensor : read_all(entry.path()))
        if (tensor.name == name) return tensor.bytes;
  ADD_FAILURE() << name;
  return "";
}

template <class T>
std::string bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

TEST(Checkpoint, ShardedFloat32ModelComesBackBitForBit) {
  const Checkpoint model(oracle("llama_gqa"));
  EXPECT_EQ(model.spec().dtype, DType::float32);
  EXPECT_EQ(model.parameter_count(), 147040 / 4);
  EXPECT_EQ(model.layer_names(),
            (std::vector<std::string>{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                      "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
                                      "mlp.down_proj"}));
  for (Index index = 0; index < 2; ++index) {
    const Block block = model.load_block(index, Products::automatic);
    EXPECT_EQ(block.index, index);
    ASSERT_EQ(block.layers.size(), 7u);
    const std::string prefix = "model.layers." + std::to_string(index) + ".";
    for (const Layer& layer : block.layers) {
      EXPECT_EQ(bytes_of(layer.weight.values()),
                stored(model.folder(), prefix + layer.name + ".weight"));
      EXPECT_TRUE(layer.bias.empty());
      EXPECT_TRUE(layer.weight_bf16.empty());
    }
    EXPECT_EQ(block.layer(Role::down).name, "mlp.down_proj");
    EXPECT_EQ(block.layer(Role::down).weight.rows(), 40);
    EXPECT_EQ(block.layer(Role::down).weight.cols(), 56);
    EXPECT_EQ(bytes_of<float>(block.mlp_norm.weight),
              stored(model.folder(), prefix + "post_attention_layernorm.weight"));
    EXPECT_TRUE(block.mlp_norm.bias.empty());
  }
  const ModelEnds ends = model.load_ends();
  EXPECT_EQ(bytes_of(ends.lm_head.values()), stored(model.folder(), "lm_head.weight"));
  EXPECT_EQ(bytes_of(ends.token_embedding.values()),
            stored(model.folder(), "model.embed_tokens.weight"));
  EXPECT_EQ(bytes_of<float>(ends.final_norm.weight), stored(model.folder(), "model.norm.weight"));
  EXPECT_EQ(ends.head().data(), ends.lm_head.data());
}

TEST(Checkpoint, Bfloat16ModelKeepsItsBitsWhereProductsAskForThem) {
  const Checkpoint model(oracle("llama_bias"));
  EXPECT_EQ(model.spec().dtype, DType::bfloat16);
  const Block block = model.load_block(1, Products::automatic);
  for (const Layer& layer : block.layers) {
    EXPECT_EQ(bytes_of(layer.weight_bf16.values()),
              stored(model.folder(), "model.layers.1." + layer.name + ".weight"));
    ASSERT_EQ(layer.weight.size(), layer.weight_bf16.size());
    for (Index i = 0; i < layer.weight.size(); ++i)
      ASSERT_EQ(layer.weight.data()[i], static_cast<float>(layer.weight_bf16.data()[i]));
    EXPECT_EQ(static_cast<Index>(layer.bias.size()), layer.weight.rows());
  }
  EXPECT_TRUE(model.load_block(1, Products::float32).layers[0].weight_bf16.empty());
  // Rounded where the files hold more.
  const Block rounded = Checkpoint(oracle("llama_gqa")).load_block(0, Products::bfloat16);
  const Layer& layer = rounded.layers[0];
  EXPECT_EQ(static_cast<float>(layer.weight_bf16(3, 5)), rounded_to_bfloat16(layer.weight(3, 5)));
}

TEST(Checkpoint, TiedModelHasOneMatrixForBothEnds) {
  const ModelEnds ends = Checkpoint(oracle("llama_linear")).load_ends();
  EXPECT_TRUE(ends.lm_head.empty());
  EXPECT_EQ(ends.head().data(), ends.token_embedding.data());
  EXPECT_EQ(ends.token_embedding.rows(), 97);
}

TEST(Checkpoint, OptInHalfPrecisionWithNormsBefore) {
  const Checkpoint model(oracle("opt_before"));
  EXPECT_EQ(model.spec().dtype, DType::float16);
  const Block block = model.load_block(0, Products::automatic);
  ASSERT_EQ(block.layers.size(), 6u);
  EXPECT_EQ(block.layers[3].name, "self_attn.out_proj");
  EXPECT_EQ(block.layer(Role::up).name, "fc1");
  EXPECT_EQ(block.find(Role::gate), nullptr);
  const std::string raw = stored(model.folder(), "model.decoder.layers.0.fc2.weight");
  for (Index i = 0; i < block.layer(Role::down).weight.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, raw.data() + 2 * i, 2);
    ASSERT_EQ(block.layer(Role::down).weight.data()[i], float_of_half(half));
  }
  EXPECT_EQ(block.attention_norm.bias.size(), 32u);
  const ModelEnds ends = model.load_ends();
  EXPECT_EQ(ends.position_embedding.rows(), 50);  // 48 positions and the two rows before them
  EXPECT_EQ(ends.final_norm.bias.size(), 32u);
  EXPECT_TRUE(ends.project_in.empty());
}

TEST(Checkpoint, OptWithoutThePrefixAndWithProjections) {
  const Checkpoint model(oracle("opt_after"));
  const ModelEnds ends = model.load_ends();
  EXPECT_EQ(ends.project_in.rows(), 48);
  EXPECT_EQ(ends.project_in.cols(), 24);
  EXPECT_EQ(ends.project_out.rows(), 24);
  EXPECT_EQ(ends.token_embedding.cols(), 24);
  EXPECT_TRUE(ends.final_norm.weight.empty());
  EXPECT_EQ(bytes_of<float>(model.load_block(1, Products::automatic).mlp_norm.bias),
            stored(model.folder(), "decoder.layers.1.final_layer_norm.bias"));
}

TEST(Checkpoint, TheDemoModelLoads) {
  const Checkpoint model(std::filesystem::path(CONSTRICTOR_SOURCE_DIR) / "experiments/demo/model");
  EXPECT_EQ(model.spec().blocks, 4);
  EXPECT_EQ(model.parameter_count(), 2001152 / 2);
  EXPECT_EQ(model.tokenizer_sha256(),
            "5dd82914b6aba9594361593de59ff42427ccf962a5c85b97ed8f9e2079456ea4");
  EXPECT_EQ(model.load_block(3, Products::automatic).layers[0].weight_bf16.cols(), 128);
}

TEST(Checkpoint, AHeadThatATiedModelAlsoStoresIsNotRead) {
  const TemporaryFolder folder;
  copy_model("llama_gqa", folder.path());
  replace_in_file(folder / "config.json", "\"tie_word_embeddings\": false",
                  "\"tie_word_embeddings\": true");
  const Checkpoint model(folder.path());
  EXPECT_TRUE(model.load_ends().lm_head.empty());
  EXPECT_EQ(model.parameter_count(), 147040 / 4 - 97 * 40);
}

TEST(Checkpoint, HashesTellModelsApart) {
  const TemporaryFolder folder;
  copy_model("llama_linear", folder.path());
  const Checkpoint original(oracle("llama_linear"));
  const auto hashes = [&] {
    const Checkpoint copy(folder.path());
    return std::pair(copy.model_sha256(), copy.sample_sha256());
  };
  EXPECT_EQ(hashes(), std::pair(original.model_sha256(), original.sample_sha256()));
  EXPECT_NE(original.model_sha256(), original.sample_sha256());
  EXPECT_EQ(original.tokenizer_sha256(), "");

  std::string weights = read_bytes(folder / "model.safetensors");
  weights.back() = static_cast<char>(weights.back() ^ 1);  // another fine-tune: same headers
  write_bytes(folder / "model.safetensors", weights);
  EXPECT_EQ(hashes().first, original.model_sha256());
  EXPECT_NE(hashes().second, original.sample_sha256());

  replace_in_file(folder / "config.json", "500.0", "501.0");
  EXPECT_NE(hashes().first, original.model_sha256());
  // The definition, from the bytes.
  const std::string header =
      weights.substr(0, SafetensorsFile(folder / "model.safetensors").header().bytes);
  EXPECT_EQ(hashes().first, sha256(read_bytes(folder / "config.json") + header));
}

TEST(Checkpoint, MovesLeaveItUsable) {
  Checkpoint model(oracle("llama_linear"));
  Checkpoint other = std::move(model);
  model = Checkpoint(oracle("opt_before"));
  EXPECT_EQ(model.spec().family, "opt");
  EXPECT_EQ(other.load_block(0, Products::float32).layers.size(), 7u);
  EXPECT_THROW(other.load_block(2, Products::float32), Bug);
  EXPECT_THROW(other.load_block(-1, Products::float32), Bug);
}

}  // namespace
}  // namespace constrictor::io
