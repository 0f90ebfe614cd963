// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which requests go through the model together. A sequence is what the model reads of a request;
// requests with the same one share it. Sequences of one length go in groups of whole sequences,
// without padding. Groups follow from the requests alone and are never cut or merged: whoever works
// on one, with whatever else, gets the same bits.

#include <vector>

#include "core/parallel.hpp"
#include "data/requests.hpp"

namespace constrictor::schedule {

struct RequestGroup {
  Index length = 0;                           // tokens of each sequence
  std::vector<std::vector<Index>> sequences;  // the requests of each; the first lends its tokens
  Index tokens() const { return length * static_cast<Index>(sequences.size()); }
};

/// All groups, the longest sequences first, else in the order of the requests; `chunk_tokens`:
/// tokens of a group at most, unless a single sequence is longer.
std::vector<RequestGroup> request_groups(const Requests& requests, Index chunk_tokens);

/// Cuts groups, of the given numbers of tokens, into contiguous parts of at most `most` tokens, at
/// least one group each.
std::vector<Piece> parts_of_groups(const std::vector<Index>& tokens, Index most);

/// A rank's contiguous share of groups, by tokens; together the shares are all groups.
Piece share_of_groups(const std::vector<Index>& tokens, int ranks, int rank);

}  // namespace constrictor::schedule
