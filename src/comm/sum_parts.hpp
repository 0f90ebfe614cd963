// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums as plain arrays: what travels between ranks. Short parts share messages, so that the rows
// of an upper triangle may be parts of their own.

#include <concepts>
#include <span>
#include <variant>
#include <vector>

#include "comm/communicator.hpp"

namespace constrictor::comm {

/// One array of a set of sums. Counts are integers, never floats.
using SumPart = std::variant<std::span<float>, std::span<double>, std::span<Index>>;
using SumParts = std::vector<SumPart>;

/// A set of sums lists its arrays: always the same number, lengths and types in the same order.
/// parts() may return spans of one type or SumPart.
template <class Sums>
concept SetOfSums = std::movable<Sums> && requires(Sums& sums) {
  { *std::begin(sums.parts()) } -> std::convertible_to<SumPart>;
};

template <SetOfSums Sums>
SumParts parts_of(Sums& sums) {
  SumParts parts;
  for (auto&& part : sums.parts()) parts.emplace_back(part);
  return parts;
}

Index bytes_of_parts(const SumParts& parts);
void set_zero(const SumParts& parts);

/// into <- into + from, element by element.
void add(const SumParts& into, const SumParts& from);

/// The same with `from` on another rank. Needs a buffer of a few MiB, not a second set of sums.
void send_parts(const Communicator& ranks, const SumParts& parts, int to);
void receive_and_add(const Communicator& ranks, const SumParts& into, int from);

/// Overwrites.
void receive_parts(const Communicator& ranks, const SumParts& into, int from);
void broadcast_parts(const Communicator& ranks, const SumParts& parts, int root = 0);

/// Sum over ranks in MPI's order (`reduction: fast`): in place, everywhere; the last bits depend on
/// the number of ranks.
void fast_sum(const Communicator& ranks, const SumParts& parts);

}  // namespace constrictor::comm
