// SPDX-License-Identifier: Apache-2.0
#include "pipeline/block_reader.hpp"

#include "comm/agree.hpp"
#include "core/threads.hpp"

namespace constrictor::pipeline {

BlockReader::BlockReader(const comm::Communicator& ranks, const Job& job, backend::Backend& backend)
    : ranks_(ranks), job_(job), backend_(backend) {
  start(0);
}

Block BlockReader::next(Index index, SecondsByPhase& seconds) {
  const PhaseTimer timer(seconds, "load");
  Block block = comm::agree(ranks_, [&] { return pending_.get(); });
  if (index + 1 < job_.model().blocks) start(index + 1);
  return block;
}

void BlockReader::start(Index index) {
  pending_ = std::async(std::launch::async, [this, index] {
    use_one_thread_here();  // the others are at work
    Block block = job_.checkpoint.load_block(index, job_.products);
    backend_.stage(block);
    return block;
  });
}

calib::HiddenStates embedded(const comm::Communicator& ranks, const Job& job,
                             backend::Backend& backend) {
  const auto shard =
      calib::shard_of(job.calibration.sequences(), job.calibration.length(), job.spec.run.lanes,
                      ranks.size(), ranks.rank(), backend.chunk_tokens());
  return comm::agree(ranks, [&] {
    const auto ids =
        read_only(job.calibration.ids.view()).rows_from(shard.first_sequence, shard.my_sequences());
    return calib::HiddenStates(shard, backend.embed(job.checkpoint.load_ends(), ids));
  });
}

}  // namespace constrictor::pipeline
