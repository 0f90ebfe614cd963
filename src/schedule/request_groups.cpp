// SPDX-License-Identifier: Apache-2.0
#include "schedule/request_groups.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <string_view>

namespace constrictor::schedule {
namespace {

std::string_view key_of(std::span<const std::int32_t> tokens) {
  return {reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()};
}

}  // namespace

std::vector<RequestGroup> request_groups(const Requests& requests, Index chunk_tokens) {
  // Per length, the longest first: the requests of each sequence, by its first request.
  std::map<Index, std::vector<std::vector<Index>>, std::greater<>> by_length;
  std::map<std::string_view, std::pair<Index, std::size_t>> place;
  for (Index i = 0; i < requests.count(); ++i) {
    const auto input = requests.input(i);
    auto& sequences = by_length[static_cast<Index>(input.size())];
    const auto [found, fresh] =
        place.try_emplace(key_of(input), static_cast<Index>(input.size()), sequences.size());
    if (fresh) sequences.emplace_back();
    sequences[found->second.second].push_back(i);
  }
  std::vector<RequestGroup> groups;
  for (auto& [length, sequences] : by_length) {
    const Index width = std::max<Index>(1, chunk_tokens / length);
    const auto count = static_cast<Index>(sequences.size());
    for (Index g = 0; g < pieces(count, width); ++g) {
      const Piece part = piece(count, width, g);
      groups.push_back({length, {sequences.begin() + part.first, sequences.begin() + part.last}});
    }
  }
  return groups;
}

std::vector<Piece> parts_of_groups(const std::vector<Index>& tokens, Index most) {
  std::vector<Piece> parts;
  Index filled = 0;
  for (Index g = 0; g < static_cast<Index>(tokens.size()); ++g) {
    const Index more = tokens[static_cast<std::size_t>(g)];
    if (parts.empty() || filled + more > most) {
      parts.push_back({g, g});
      filled = 0;
    }
    filled += more;
    parts.back().last = g + 1;
  }
  return parts;
}

Piece share_of_groups(const std::vector<Index>& tokens, int ranks, int rank) {
  const Index total = std::accumulate(tokens.begin(), tokens.end(), Index{0});
  // Group g belongs to the rank into whose part of the tokens its middle falls.
  const auto first_of = [&](int r) {
    Index before = 0, g = 0;
    for (const Index more : tokens) {
      if ((2 * before + more) * ranks >= 2 * total * r) break;
      before += more;
      ++g;
    }
    return g;
  };
  return {rank == 0 ? 0 : first_of(rank),
          rank + 1 == ranks ? static_cast<Index>(tokens.size()) : first_of(rank + 1)};
}

}  // namespace constrictor::schedule
