// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which calibration sequences are whose. Sequence j belongs to lane j * lanes / sequences; lanes
// are dealt out to ranks in contiguous runs; a lane is worked on in chunks of whole sequences.
// Lanes and chunks do not depend on the number of ranks, so neither do the sums over them.

#include <vector>

#include "comm/lane_tree.hpp"
#include "core/parallel.hpp"

namespace constrictor::calib {

/// Whole sequences that go through a block together.
struct Chunk {
  Index first_sequence = 0;
  Index sequences = 0;
};

struct Shard {
  Index sequences = 0;  // of all ranks
  Index length = 0;     // tokens of a sequence
  Index lanes = 0;
  comm::LaneRange mine;      // my lanes
  Index first_sequence = 0;  // my sequences are [first_sequence, last_sequence)
  Index last_sequence = 0;
  Index chunk_sequences = 1;  // the most that go together

  Index my_sequences() const { return last_sequence - first_sequence; }
};

/// Tokens that a chunk holds at most, unless a single sequence is longer: on the host, where a
/// chunk should stay near the caches, and on a device, which wants large products.
inline constexpr Index chunk_tokens = 2048;
inline constexpr Index device_chunk_tokens = 16384;

Shard shard_of(Index sequences, Index length, Index lanes, int ranks, int rank,
               Index most_chunk_tokens = chunk_tokens);

/// The chunks of one lane; none when there are fewer sequences than lanes and this one got none.
std::vector<Chunk> chunks_of_lane(const Shard& shard, Index lane);
/// All my chunks, lane after lane.
std::vector<Chunk> my_chunks(const Shard& shard);

/// Rows of chunks in a matrix that holds the tokens of my sequences one below the other.
Piece rows_of(const Shard& shard, const Chunk& chunk);
std::vector<Piece> rows_of(const Shard& shard, const std::vector<Chunk>& chunks);

}  // namespace constrictor::calib
