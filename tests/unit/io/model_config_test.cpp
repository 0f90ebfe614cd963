// SPDX-License-Identifier: Apache-2.0
#include "io/model_config.hpp"

#include <cmath>

#include "test_support.hpp"

namespace constrictor::io {
namespace {

ModelSpec config_with(const std::string& from, const std::string& to,
                      const std::string& model = "llama_gqa") {
  const TemporaryFolder folder;
  copy_model(model, folder.path());
  replace_in_file(folder / "config.json", from, to);
  return read_model_config(folder / "config.json");
}

std::string complaint(const std::string& from, const std::string& to,
                      const std::string& model = "llama_gqa") {
  const std::string text = message_of<UserError>([&] { config_with(from, to, model); });
  EXPECT_CONTAINS(text, "config.json: ");
  return text;
}

TEST(ModelConfig, LlamaWithGroupsAndLlama3Rope) {
  const ModelSpec spec = read_model_config(oracle("llama_gqa") / "config.json");
  EXPECT_EQ(spec.family, "llama");
  EXPECT_EQ(spec.blocks, 2);
  EXPECT_EQ(spec.hidden, 40);
  EXPECT_EQ(spec.embedding_width, 40);
  EXPECT_EQ(spec.feed_forward, 56);
  EXPECT_EQ(spec.heads, 4);
  EXPECT_EQ(spec.kv_heads, 2);
  EXPECT_EQ(spec.head_dim, 16);  // not 40 / 4
  EXPECT_EQ(spec.vocabulary, 97);
  EXPECT_EQ(spec.max_positions, 64);
  EXPECT_EQ(spec.norm_eps, 1e-5);
  EXPECT_EQ(spec.rope.scaling, RopeScaling::llama3);
  EXPECT_EQ(spec.rope.theta, 10000);
  EXPECT_EQ(spec.rope.factor, 8);
  EXPECT_EQ(spec.rope.low_freq_factor, 1);
  EXPECT_EQ(spec.rope.high_freq_factor, 4);
  EXPECT_EQ(spec.rope.original_max_positions, 16);
  EXPECT_FALSE(spec.tied_embeddings);
  EXPECT_FALSE(spec.qkv_bias || spec.output_bias);
}

TEST(ModelConfig, LlamaWithoutHeadDimAndWithTheOldSpellingOfLinear) {
  const ModelSpec spec = read_model_config(oracle("llama_linear") / "config.json");
  EXPECT_EQ(spec.head_dim, 8);
  EXPECT_EQ(spec.kv_heads, 4);
  EXPECT_EQ(spec.rope.scaling, RopeScaling::linear);
  EXPECT_EQ(spec.rope.factor, 2.5);
  EXPECT_EQ(spec.rope.theta, 500);
  EXPECT_TRUE(spec.tied_embeddings);
}

TEST(ModelConfig, LlamaWithRopeParametersAndBiases) {
  const ModelSpec spec = read_model_config(oracle("llama_bias") / "config.json");
  EXPECT_EQ(spec.rope.scaling, RopeScaling::none);
  EXPECT_EQ(spec.rope.theta, 20000);
  EXPECT_EQ(spec.kv_heads, 1);
  EXPECT_TRUE(spec.qkv_bias && spec.output_bias);
  EXPECT_TRUE(spec.mlp_bias);
}

TEST(ModelConfig, OptBothWays) {
  const ModelSpec before = read_model_config(oracle("opt_before") / "config.json");
  EXPECT_EQ(before.family, "opt");
  EXPECT_TRUE(before.norm_before);
  EXPECT_TRUE(before.final_norm);
  EXPECT_TRUE(before.tied_embeddings);
  EXPECT_TRUE(before.qkv_bias && before.output_bias && before.mlp_bias);
  EXPECT_EQ(before.activation, Activation::relu);
  EXPECT_EQ(before.feed_forward, 64);
  EXPECT_EQ(before.kv_heads, before.heads);
  const ModelSpec after = read_model_config(oracle("opt_after") / "config.json");
  EXPECT_FALSE(after.norm_before);
  EXPECT_FALSE(after.final_norm);
  EXPECT_EQ(after.embedding_width, 24);
  EXPECT_EQ(after.head_dim, 16);
  EXPECT_FALSE(config_with("\"_remove_final_layer_norm\": false",
                           "\"_remove_final_layer_norm\": true", "opt_before")
                   .final_norm);
}

TEST(ModelConfig, WindowsFollowTheFamilysRule) {
  const auto sliding = [](const ModelSpec& spec) {
    std::string blocks;
    for (const bool slides : spec.sliding) blocks += slides ? 's' : 'f';
    return blocks;
  };
  const ModelSpec mistral = read_model_config(oracle("mistral") / "config.json");
  EXPECT_EQ(mistral.window, 9);
  EXPECT_EQ(sliding(mistral), "");  // all of them
  EXPECT_EQ(config_with("\"sliding_window\": 9", "\"sliding_window\": null", "mistral").window, 0);
  EXPECT_EQ(config_with("\"sliding_window\": 9", "\"no\": 9", "mistral").window, 4096);
  EXPECT_EQ(sliding(read_model_config(oracle("qwen2") / "config.json")), "fss");
  EXPECT_EQ(config_with("\"use_sliding_window\": true", "\"no\": 1", "qwen2").window, 0);
  EXPECT_EQ(sliding(read_model_config(oracle("gemma2") / "config.json")), "sfs");
  EXPECT_EQ(sliding(read_model_config(oracle("gemma3") / "config.json")), "ssfssf");
  const std::string pattern = "\"sliding_window_pattern\": 3";
  EXPECT_EQ(sliding(config_with(pattern, "\"no\": 3", "gemma3")), "sssssf");
  const auto listed = [&](const std::string& types) { return "\"layer_types\": [" + types + "]"; };
  const std::string s = "\"sliding_attention\"", f = "\"full_attention\"", c = ", ";
  EXPECT_EQ(
      sliding(config_with(pattern, listed(s + c + f + c + f + c + f + c + f + c + s), "gemma3")),
      "sffffs");
  EXPECT_CONTAINS(complaint(pattern, listed(s), "gemma3"), "lists 1 layers");
  EXPECT_CONTAINS(
      complaint(pattern, listed(s + c + f + c + f + c + f + c + f + c + "\"x\""), "gemma3"),
      "holds x; supported are");
  EXPECT_CONTAINS(complaint(pattern, "\"layer_types\": 3", "gemma3"), "must be a list of words");
}

TEST(ModelConfig, GemmasOwnFeatures) {
  const ModelSpec two = read_model_config(oracle("gemma2") / "config.json");
  EXPECT_TRUE(two.norm_after && two.norm_before && !two.qk_norm);
  EXPECT_EQ(two.attention_soft_cap, 5);
  EXPECT_EQ(two.final_soft_cap, 3);
  EXPECT_EQ(two.query_pre_attention, 24);
  EXPECT_EQ(two.activation, Activation::gelu_tanh);
  EXPECT_EQ(two.embedding_scale, std::sqrt(32.));
  EXPECT_EQ(
      config_with("\"final_logit_softcapping\": 3.0", "\"final_logit_softcapping\": null", "gemma2")
          .final_soft_cap,
      0);
  EXPECT_CONTAINS(
      complaint("\"final_logit_softcapping\": 3.0", "\"final_logit_softcapping\": -1", "gemma2"),
      "must be above 0, or null");
  const ModelSpec three = read_model_config(oracle("gemma3") / "config.json");
  EXPECT_TRUE(three.qk_norm && three.norm_after);
  EXPECT_EQ(three.rope.theta, 1e6);
  EXPECT_EQ(three.rope.scaling, RopeScaling::linear);
  ASSERT_TRUE(three.local_rope.has_value());
  EXPECT_EQ(three.local_rope->theta, 100);
  EXPECT_EQ(three.local_rope->scaling, RopeScaling::none);
  const ModelSpec newer = config_with(  // Transformers 5: one dictionary a kind of block
      "\"rope_scaling\": {",
      "\"rope_parameters\": {\"sliding_attention\": {\"rope_theta\": 5.0}, "
      "\"full_attention\": {\"rope_theta\": 7.0}}, \"rope_scaling\": {",
      "gemma3");
  EXPECT_EQ(newer.rope.theta, 7);
  EXPECT_EQ(newer.local_rope->theta, 5);
  EXPECT_CONTAINS(
      complaint("\"bos_token_id\": 2", "\"use_bidirectional_attention\": true", "gemma3"),
      "use_bidirectional_attention");
  EXPECT_CONTAINS(
      complaint("\"attn_logit_softcapping\": null", "\"attn_logit_softcapping\": 50.0", "gemma3"),
      "\"attn_logit_softcapping\" other than null is not supported");
}

TEST(ModelConfig, NullMeansAbsent) {
  EXPECT_EQ(config_with("\"head_dim\": 16", "\"head_dim\": null").head_dim, 10);
  EXPECT_EQ(config_with("\"num_key_value_heads\": 2", "\"num_key_value_heads\": null").kv_heads, 4);
}

TEST(ModelConfig, EachDefectHasItsOwnSentence) {
  const std::string type = "\"model_type\": \"llama\"";
  EXPECT_CONTAINS(complaint(type, "\"model_type\": \"phi3\""),
                  "\"model_type\" is phi3; known are llama, opt, mistral, mixtral, qwen2, qwen3, qwen3_moe, gemma2, "
                  "gemma3_text; missing for this one: fused layers for query, key and value");
  EXPECT_CONTAINS(complaint(type, "\"model_type\": \"gemma3\""), "vision tower");
  EXPECT_CONTAINS(complaint(type, "\"model_type\": \"zamba\""), "a description of its features");
  EXPECT_CONTAINS(complaint(type, "\"no\": 1"), "has no \"model_type\"");
  EXPECT_CONTAINS(complaint(type, type + ", \"quantization_config\": {}"), "quantized already");
  EXPECT_CONTAINS(complaint("\"LlamaForCausalLM\"", "\"LlamaForTokenClassification\""),
                  "does not list LlamaForCausalLM");
  EXPECT_CONTAINS(complaint("\"hidden_size\": 40", "\"hidden\": 40"), "has no \"hidden_size\"");
  for (const char* bad : {"0", "-40", "40.5", "\"40\"", "[40]", "1e300", "4294967296"})
    EXPECT_CONTAINS(complaint("\"hidden_size\": 40", "\"hidden_size\": " + std::string(bad)),
                    "\"hidden_size\" must be a whole number from 1 to 2147483647");
  EXPECT_CONTAINS(complaint("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"),
                  "num_attention_heads 4 is not a multiple of num_key_value_heads 3");
  EXPECT_CONTAINS(complaint("\"head_dim\": 16", "\"head_dim\": 15"), "is odd");
  EXPECT_CONTAINS(complaint("\"head_dim\": 16,\n  \"hidden_act\": \"silu\",\n  \"hidden_size\": 40",
                            "\"hidden_act\": \"silu\",\n \"hidden_size\": 42"),
                  "hidden_size 42 is not a multiple of num_attention_heads 4");
  EXPECT_CONTAINS(complaint("\"silu\"", "\"gelu\""), "\"hidden_act\" is gelu; supported is silu");
  EXPECT_CONTAINS(complaint("\"relu\"", "\"gelu\"", "opt_before"),
                  "\"activation_function\" is gelu");
  EXPECT_CONTAINS(complaint("\"layer_norm_elementwise_affine\": true",
                            "\"layer_norm_elementwise_affine\": false", "opt_before"),
                  "layer_norm_elementwise_affine");
  EXPECT_CONTAINS(complaint("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": 0"),
                  "must be true or false");
}

TEST(ModelConfig, RopeIsCheckedToo) {
  const std::string type = "\"rope_type\": \"llama3\"";
  EXPECT_CONTAINS(complaint(type, "\"rope_type\": \"yarn\""),
                  "\"rope_scaling.rope_type\" is yarn; supported are default, linear and llama3");
  EXPECT_CONTAINS(complaint("\"factor\": 8.0", "\"factor\": 0"),
                  "\"rope_scaling.factor\" must be above 0");
  EXPECT_CONTAINS(complaint("\"factor\": 8.0,", ""), "has no \"rope_scaling.factor\"");
  EXPECT_CONTAINS(complaint("\"high_freq_factor\": 4.0", "\"high_freq_factor\": 1.0"),
                  "\"rope_scaling.high_freq_factor\" must be above low_freq_factor");
  EXPECT_CONTAINS(complaint("\"rope_theta\": 10000.0", "\"rope_theta\": -1"),
                  "rope_theta\" must be");
  EXPECT_CONTAINS(
      complaint("\"rope_parameters\": {", "\"rope_parameters\": 3, \"x\": {", "llama_bias"),
      "\"rope_parameters\" must be an object");
  EXPECT_EQ(config_with(type, "\"rope_type\": \"default\"").rope.scaling, RopeScaling::none);
}

TEST(ModelConfig, WhatIsNoJsonIsSaidToBeNone) {
  const TemporaryFolder folder;
  const auto say = [&](const std::string& text) {
    write_bytes(folder / "config.json", text);
    return message_of<UserError>([&] { read_model_config(folder / "config.json"); });
  };
  EXPECT_CONTAINS(say(""), "is not valid JSON");
  EXPECT_CONTAINS(say("{\"model_type\": "), "is not valid JSON at byte");
  EXPECT_CONTAINS(say("[1]"), "is not a JSON object");
  EXPECT_CONTAINS(say("{\"model_type\": 1e999}"), "is not valid JSON");
  EXPECT_CONTAINS(say(std::string(1'000'000, '[')), "is not valid JSON");
  std::filesystem::remove(folder / "config.json");
  EXPECT_CONTAINS(message_of<UserError>([&] { read_model_config(folder / "config.json"); }),
                  "config.json: cannot be read: No such file");
}

}  // namespace
}  // namespace constrictor::io
