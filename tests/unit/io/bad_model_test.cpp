// SPDX-License-Identifier: Apache-2.0
// Every way in which a model folder can be wrong ends in one sentence before any work.
#include <cmath>
#include <functional>

#include "io/checkpoint.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

/// Spoils a copy of a model and returns what opening it says.
std::string complaint(const std::string& model,
                      const std::function<void(const std::filesystem::path&)>& spoil) {
  const TemporaryFolder folder;
  copy_model(model, folder.path());
  spoil(folder.path());
  return message_of<UserError>([&] { Checkpoint{folder.path()}; });
}

/// The same for one tensor of a model with a single file.
std::string complaint_about(
    const std::string& model, const std::string& tensor_name,
    const std::function<void(std::vector<TestTensor>&, std::size_t)>& spoil) {
  return complaint(model, [&](const std::filesystem::path& folder) {
    auto tensors = read_all(folder / "model.safetensors");
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].name == tensor_name) {
        spoil(tensors, i);
        break;
      }
    write_bytes(folder / "model.safetensors", safetensors_image(tensors));
  });
}

TEST(BadModel, WrongShapeNamesFileTensorAndBothShapes) {
  const std::string name = "model.layers.1.self_attn.k_proj.weight";
  const std::string text = complaint_about(
      "llama_bias", name, [](auto& tensors, std::size_t i) { tensors[i].shape = "[32, 8]"; });
  EXPECT_CONTAINS(text, "model.safetensors: tensor " + name +
                            " has shape [32, 8], but config.json asks for [8, 32]");
  EXPECT_CONTAINS(
      complaint_about("llama_bias", "model.norm.weight",
                      [](auto& tensors, std::size_t i) { tensors[i].shape = "[1, 32]"; }),
      "has shape [1, 32], but config.json asks for [32]");
  EXPECT_CONTAINS(complaint("opt_before",
                            [](const auto& folder) {
                              replace_in_file(folder / "config.json", "\"ffn_dim\": 64",
                                              "\"ffn_dim\": 65");
                            }),
                  "model.decoder.layers.0.fc1.weight has shape [64, 32], but config.json asks for "
                  "[65, 32]");
}

TEST(BadModel, WrongDtypeNamesTheTensor) {
  const auto change_to = [](const char* dtype) {
    return [dtype](auto& tensors, std::size_t i) { tensors[i].dtype = dtype; };
  };
  EXPECT_CONTAINS(
      complaint_about("llama_bias", "model.norm.weight", change_to("I16")),
      "tensor model.norm.weight is stored as I16, but weights must be F32, F16 or BF16");
  EXPECT_CONTAINS(complaint_about("llama_bias", "model.norm.weight", change_to("Q7")),
                  "unknown dtype Q7");
}

TEST(BadModel, TensorsThatNobodyAsksForMayBeAnything) {
  const TemporaryFolder folder;
  copy_model("llama_linear", folder.path());
  auto tensors = read_all(folder / "model.safetensors");
  tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "I64", "[1]", "12345678"});
  write_bytes(folder / "model.safetensors", safetensors_image(tensors));
  EXPECT_EQ(Checkpoint(folder.path()).spec().blocks, 2);
}

TEST(BadModel, MissingTensorsAreNamed) {
  const auto erase = [](auto& tensors, std::size_t i) {
    tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i));
  };
  for (const char* name : {"model.embed_tokens.weight", "model.layers.1.mlp.down_proj.bias",
                           "lm_head.weight", "model.layers.0.input_layernorm.weight"})
    EXPECT_CONTAINS(
        complaint_about("llama_bias", name, erase),
        "model.safetensors: has no tensor " + std::string(name) + ", which config.json asks for");
  EXPECT_CONTAINS(complaint("llama_gqa",
                            [](const auto& folder) {
                              replace_in_file(folder / "config.json", "\"num_hidden_layers\": 2",
                                              "\"num_hidden_layers\": 2000000000");
                            }),
                  "has no tensor model.layers.2.self_attn.q_proj.weight");
}

TEST(BadModel, TruncatedAtAnyLengthIsRefused) {
  const TemporaryFolder folder;
  copy_model("llama_linear", folder.path());
  const std::string whole = read_bytes(folder / "model.safetensors");
  std::vector<std::size_t> lengths = {0, 1, 7, 8, 9, 100, whole.size() - 1};
  for (std::size_t length = 0; length < whole.size(); length += 509) lengths.push_back(length);
  for (const std::size_t length : lengths) {
    write_bytes(folder / "model.safetensors", whole.substr(0, length));
    const std::string text = message_of<UserError>([&] { Checkpoint{folder.path()}; });
    EXPECT_CONTAINS(text, "model.safetensors: ");
    EXPECT_CONTAINS(text, "is it truncated?");
  }
}

TEST(BadModel, ShardsAndIndexMustAgree) {
  const std::string index = "model.safetensors.index.json";
  const std::string second = "model-00002-of-00002.safetensors";
  EXPECT_CONTAINS(
      complaint("llama_gqa", [&](const auto& folder) { std::filesystem::remove(folder / second); }),
      second + ": is missing, though " + index + " lists it");
  EXPECT_CONTAINS(complaint("llama_gqa",
                            [&](const auto& folder) {
                              replace_in_file(folder / index,
                                              "\"model.norm.weight\": \"model-00001",
                                              "\"model.norm.weight\": \"model-00002");
                            }),
                  second + ": has no tensor model.norm.weight, though " + index + " says so");
  EXPECT_CONTAINS(
      complaint("llama_gqa",
                [&](const auto& folder) {
                  replace_in_file(folder / index, "model-00001-of", "../model-00001-of");
                }),
      "lists ../model-00001-of-00002.safetensors, which is no safetensors file of this folder");
  EXPECT_CONTAINS(complaint("llama_gqa",
                            [&](const auto& folder) {
                              replace_in_file(folder / index, "\"weight_map\": {",
                                              "\"weight_map\": 3, \"x\": {");
                            }),
                  "\"weight_map\" must be an object");
  EXPECT_CONTAINS(complaint("llama_gqa",
                            [&](const auto& folder) {
                              replace_in_file(folder / index,
                                              "\"model-00001-of-00002.safetensors\"", "7");
                            }),
                  "\"weight_map\" must map tensors to file names");
  EXPECT_CONTAINS(
      complaint("llama_gqa",
                [&](const auto& folder) { write_bytes(folder / index, "{\"weight_map\": {}}"); }),
      "lists no tensors");
  EXPECT_CONTAINS(
      complaint("llama_gqa", [&](const auto& folder) { write_bytes(folder / index, "{}"); }),
      "has no \"weight_map\"");
}

TEST(BadModel, PicklesAreRefusedWithAHint) {
  for (const char* pickle : {"pytorch_model.bin", "consolidated.00.pth", "model.pt"})
    EXPECT_CONTAINS(complaint("llama_linear",
                              [&](const auto& folder) {
                                std::filesystem::rename(folder / "model.safetensors",
                                                        folder / pickle);
                              }),
                    "holds pickled weights (" + std::string(pickle) + ") but no safetensors");
  EXPECT_CONTAINS(
      complaint("llama_linear",
                [](const auto& folder) { std::filesystem::remove(folder / "model.safetensors"); }),
      "holds neither model.safetensors nor model.safetensors.index.json");
  EXPECT_CONTAINS(message_of<UserError>([] { Checkpoint{"/nowhere/at/all"}; }),
                  "/nowhere/at/all/config.json: cannot be read: No such file or directory");
}

TEST(BadModel, NanAndInfAreFoundWhenTheBlockIsLoaded) {
  const TemporaryFolder folder;
  copy_model("llama_linear", folder.path());
  auto tensors = read_all(folder / "model.safetensors");
  for (TestTensor& tensor : tensors) {
    if (tensor.name == "model.layers.1.mlp.down_proj.weight")  // [32, 48], NaN at [2, 5]
      tensor.bytes.replace(2 * (2 * 48 + 5), 2, "\xc0\x7f");
    if (tensor.name == "model.norm.weight")
      tensor.bytes.replace(2 * 7, 2, std::string("\x80\xff", 2));
  }
  write_bytes(folder / "model.safetensors", safetensors_image(tensors));
  const Checkpoint model(folder.path());
  EXPECT_EQ(model.load_block(0, Products::automatic).layers.size(), 7u);
  EXPECT_CONTAINS(message_of<NumericalError>([&] { model.load_block(1, Products::automatic); }),
                  "block 1, tensor model.layers.1.mlp.down_proj.weight: NaN at [2, 5] (");
  EXPECT_CONTAINS(message_of<NumericalError>([&] { model.load_ends(); }),
                  "tensor model.norm.weight: Inf at [7] (");
}

}  // namespace
}  // namespace constrictor::io
