// SPDX-License-Identifier: Apache-2.0
#pragma once
// What sets one family of models apart from another, as data: one file per family beside this one.
// io/ reads config.json and the tensors by it into a ModelSpec, which is all that model/ looks at.

#include <string>
#include <string_view>
#include <vector>

#include "data/model_spec.hpp"

namespace constrictor::families {

/// A key of config.json and what holds without it. An empty key: the family has none, and the
/// fallback holds always.
struct SizeKey {
  std::string key;
  Index fallback = 0;  // 0: of others (see the field), or the key is required
};
struct NumberKey {
  std::string key;
  double fallback = 0;
};
struct FlagKey {
  std::string key;
  bool fallback = false;
};

/// A flag that other programs read too and that must have one value here.
struct FixedFlag {
  std::string key;
  bool value = false;
};

/// Which blocks see a window of keys only, unless config.json lists them ("layer_types").
enum class WindowRule {
  none,
  all,
  from_block,       // blocks 0 .. count - 1 see everything
  all_but_each_nth  // block number b does when count divides b + 1
};
struct Window {
  WindowRule rule = WindowRule::none;
  std::string key = "sliding_window";  // null: no window
  Index fallback = 0;
  std::string use_key{};  // a flag that is false unless given; empty: always on
  std::string count_key{};
  Index count = 1;
};

/// Names of tensors without ".weight" and ".bias"; empty where the family has none.
struct Names {
  std::vector<std::string> prefixes;  // in front of everything but lm_head; the usual one first
  // In a block, behind "layers.<number>.":
  std::string query, key, value, output, gate{}, up, down;
  std::string attention_norm, mlp_norm;
  std::string router{};  // of experts; a '#' in gate, up and down then stands for their numbers
  std::string attention_post_norm{}, mlp_post_norm{};  // of the sublayer's output
  std::string query_norm{}, key_norm{};                // RMS inside the head
  // Around the blocks:
  std::string token_embedding = "embed_tokens", position_embedding{}, project_in{}, project_out{};
  std::string final_norm;
};

struct Family {
  std::string model_type;    // of config.json, and the family's name
  std::string architecture;  // what "architectures" must list
  Names names;

  SizeKey feed_forward{"intermediate_size"};
  SizeKey kv_heads{};         // fallback 0: as many as heads
  SizeKey head_dim{};         // fallback 0: hidden / heads
  SizeKey embedding_width{};  // fallback 0: hidden
  FlagKey tied_embeddings{"tie_word_embeddings"};

  NormStyle norm_style = NormStyle::rms;
  NumberKey norm_eps;
  float norm_offset = 0;                 // added to every stored weight of a norm
  FlagKey norm_before{"", true};         // false: norms stand behind the residual sums
  FlagKey remove_final_norm{"", false};  // with norms before only: those behind need no final one

  bool rotary = true;            // keys rope_theta and rope_scaling
  double rope_theta = 1e4;       // without the key
  NumberKey local_rope_theta{};  // of blocks with a window; without a key the same as the others
  Window window{};
  NumberKey query_pre_attention{};  // 0: head_dim
  NumberKey attention_soft_cap{}, final_soft_cap{};
  bool scaled_embeddings = false;  // by sqrt(hidden)

  std::string activation_key;
  Activation activation = Activation::silu;
  std::vector<std::string> activation_words;  // all mean `activation`; the first without the key

  FlagKey qkv_bias{}, output_bias{}, mlp_bias{};

  SizeKey experts{}, experts_per_token{};  // without a key: one MLP for all tokens
  FlagKey renormalize_experts{"", true};
  std::vector<FixedFlag> fixed{};
  std::vector<std::string> unsupported{};  // keys that must be missing or null

  bool gated() const { return !names.gate.empty(); }
};

Family llama();
Family mixtral();
Family opt();
Family mistral();
Family qwen2();
Family qwen3();
Family qwen3_moe();
Family gemma2();
Family gemma3();
/// The layers and norms that most families name as Llama does.
Names names_of_llama();

/// In the order in which messages list them.
const std::vector<Family>& all();
/// By model_type; nullptr for one that is not known.
const Family* find(std::string_view model_type);
/// Of a ModelSpec, whose family is known.
const Family& of(const ModelSpec& spec);
/// "llama, opt": all model types.
std::string known();
/// What stands between an unknown model_type and its forward pass, for a message.
std::string missing_for(std::string_view model_type);

}  // namespace constrictor::families
