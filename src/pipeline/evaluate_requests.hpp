// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pipeline/answer_requests.hpp"

namespace constrictor::pipeline {

struct RequestOptions {
  std::string run_dir;      // answers go to <run_dir>/requests/<name>.h5
  std::string out;          // without a run: a file "*.h5", or a folder for <name>.h5
  std::string device_name;  // "cpu", "cuda": part of what decides the bits
  AnswerSettings settings;
};

/// Reads request files and checks them against the model and each other. UserError otherwise.
std::vector<Requests> open_requests(const std::vector<std::string>& paths,
                                    const io::Checkpoint& checkpoint,
                                    const RequestOptions& options);

/// Collective: answers request files one after the other, prints accuracies, writes the answers; a
/// killed evaluation goes on where it was.
void evaluate_requests(const comm::Communicator& ranks, const io::Checkpoint& checkpoint,
                       backend::Backend& backend, const QuantizedBlocks& quantized,
                       const std::vector<Requests>& files, const RequestOptions& options,
                       Screen& screen);

}  // namespace constrictor::pipeline
