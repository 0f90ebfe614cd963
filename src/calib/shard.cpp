// SPDX-License-Identifier: Apache-2.0
#include "calib/shard.hpp"

#include <algorithm>

namespace constrictor::calib {
namespace {

/// The first j with j * lanes / sequences >= lane.
Index first_of_lane(Index sequences, Index lanes, Index lane) {
  return (lane * sequences + lanes - 1) / lanes;
}

}  // namespace

Shard shard_of(Index sequences, Index length, Index lanes, int ranks, int rank,
               Index most_chunk_tokens) {
  CONSTRICTOR_REQUIRE(sequences > 0 && length > 0 && lanes > 0, sequences, length, lanes);
  Shard shard;
  shard.sequences = sequences;
  shard.length = length;
  shard.lanes = lanes;
  shard.mine = comm::lanes_of_rank(lanes, ranks, rank);
  shard.first_sequence = first_of_lane(sequences, lanes, shard.mine.first);
  shard.last_sequence = first_of_lane(sequences, lanes, shard.mine.last);
  shard.chunk_sequences = std::max<Index>(1, most_chunk_tokens / length);
  return shard;
}

std::vector<Chunk> chunks_of_lane(const Shard& shard, Index lane) {
  const Index last = first_of_lane(shard.sequences, shard.lanes, lane + 1);
  std::vector<Chunk> chunks;
  for (Index s = first_of_lane(shard.sequences, shard.lanes, lane); s < last;
       s += shard.chunk_sequences)
    chunks.push_back({s, std::min(shard.chunk_sequences, last - s)});
  return chunks;
}

std::vector<Chunk> my_chunks(const Shard& shard) {
  std::vector<Chunk> all;
  for (Index lane = shard.mine.first; lane < shard.mine.last; ++lane)
    for (const Chunk& chunk : chunks_of_lane(shard, lane)) all.push_back(chunk);
  return all;
}

Piece rows_of(const Shard& shard, const Chunk& chunk) {
  const Index first = (chunk.first_sequence - shard.first_sequence) * shard.length;
  return {first, first + chunk.sequences * shard.length};
}

std::vector<Piece> rows_of(const Shard& shard, const std::vector<Chunk>& chunks) {
  std::vector<Piece> rows;
  for (const Chunk& chunk : chunks) rows.push_back(rows_of(shard, chunk));
  return rows;
}

}  // namespace constrictor::calib
