// SPDX-License-Identifier: Apache-2.0
#pragma once
// The words of the deck and of the result files for our enums: one table per enum, used by config/
// (reading), io/ (both ways) and the screen. A new value is one line here.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "data/block.hpp"
#include "data/model_spec.hpp"
#include "data/specs.hpp"

namespace constrictor {

/// `EnumWords<E>::table` lists every value of E with its word, in the order shown to users.
template <class E>
struct EnumWords;

template <class E>
using WordPair = std::pair<E, std::string_view>;

template <>
struct EnumWords<Method> {
  static constexpr std::array table = {WordPair<Method>{Method::rtn, "rtn"},
                                       WordPair<Method>{Method::gptq, "gptq"},
                                       WordPair<Method>{Method::boa, "boa"},
                                       WordPair<Method>{Method::turboboa, "turboboa"},
                                       WordPair<Method>{Method::two_stage, "two_stage"},
                                       WordPair<Method>{Method::aespa, "aespa"},
                                       WordPair<Method>{Method::constrictor, "constrictor"}};
};
template <>
struct EnumWords<GridSearch> {
  static constexpr std::array table = {WordPair<GridSearch>{GridSearch::minmax, "minmax"},
                                       WordPair<GridSearch>{GridSearch::mse, "mse"},
                                       WordPair<GridSearch>{GridSearch::hessian, "hessian"}};
};
template <>
struct EnumWords<Drift> {
  static constexpr std::array table = {WordPair<Drift>{Drift::none, "none"},
                                       WordPair<Drift>{Drift::sequential, "sequential"},
                                       WordPair<Drift>{Drift::exact, "exact"}};
};
template <>
struct EnumWords<Order> {
  static constexpr std::array table = {WordPair<Order>{Order::original, "original"},
                                       WordPair<Order>{Order::descending, "descending"},
                                       WordPair<Order>{Order::pivoted, "pivoted"}};
};
template <>
struct EnumWords<ValueHessian> {
  static constexpr std::array table = {WordPair<ValueHessian>{ValueHessian::attention, "attention"},
                                       WordPair<ValueHessian>{ValueHessian::input, "input"}};
};
template <>
struct EnumWords<RowMetric> {
  static constexpr std::array table = {WordPair<RowMetric>{RowMetric::none, "none"},
                                       WordPair<RowMetric>{RowMetric::attention, "attention"},
                                       WordPair<RowMetric>{RowMetric::softmax, "softmax"}};
};
template <>
struct EnumWords<ValueRowMetric> {
  static constexpr std::array table = {WordPair<ValueRowMetric>{ValueRowMetric::none, "none"},
                                       WordPair<ValueRowMetric>{ValueRowMetric::output, "output"}};
};
template <>
struct EnumWords<Gather> {
  static constexpr std::array table = {WordPair<Gather>{Gather::block, "block"},
                                       WordPair<Gather>{Gather::sublayer, "sublayer"}};
};
template <>
struct EnumWords<AlphaRule> {
  static constexpr std::array table = {WordPair<AlphaRule>{AlphaRule::fixed, "fixed"},
                                       WordPair<AlphaRule>{AlphaRule::held_out, "held_out"}};
};
template <>
struct EnumWords<Reduction> {
  static constexpr std::array table = {WordPair<Reduction>{Reduction::exact, "exact"},
                                       WordPair<Reduction>{Reduction::fast, "fast"}};
};
template <>
struct EnumWords<Products> {
  static constexpr std::array table = {WordPair<Products>{Products::automatic, "automatic"},
                                       WordPair<Products>{Products::float32, "float32"},
                                       WordPair<Products>{Products::bfloat16, "bfloat16"}};
};
template <>
struct EnumWords<Role> {
  static constexpr std::array table = {
      WordPair<Role>{Role::query, "query"}, WordPair<Role>{Role::key, "key"},
      WordPair<Role>{Role::value, "value"}, WordPair<Role>{Role::output, "output"},
      WordPair<Role>{Role::gate, "gate"},   WordPair<Role>{Role::up, "up"},
      WordPair<Role>{Role::down, "down"}};
};
template <>
struct EnumWords<DType> {
  static constexpr std::array table = {WordPair<DType>{DType::float32, "float32"},
                                       WordPair<DType>{DType::float16, "float16"},
                                       WordPair<DType>{DType::bfloat16, "bfloat16"}};
};
template <>
struct EnumWords<RopeScaling> {
  static constexpr std::array table = {WordPair<RopeScaling>{RopeScaling::none, "none"},
                                       WordPair<RopeScaling>{RopeScaling::linear, "linear"},
                                       WordPair<RopeScaling>{RopeScaling::llama3, "llama3"}};
};

/// The word of a value: word(GridSearch::mse) == "mse".
template <class E>
constexpr std::string_view word(E value) {
  for (const auto& [known, text] : EnumWords<E>::table)
    if (known == value) return text;
  throw Bug("an enum value without a word in data/words.hpp");
}

/// The value of a word, nothing when no value has it: parse_word<GridSearch>("mse").
template <class E>
constexpr std::optional<E> parse_word(std::string_view text) {
  for (const auto& [value, known] : EnumWords<E>::table)
    if (known == text) return value;
  return std::nullopt;
}

/// All words of an enum for messages: "minmax | mse | hessian".
template <class E>
std::string words_of() {
  std::string list;
  for (const auto& [value, text] : EnumWords<E>::table) {
    if (!list.empty()) list += " | ";
    list += text;
  }
  return list;
}

}  // namespace constrictor
