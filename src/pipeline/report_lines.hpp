// SPDX-License-Identifier: Apache-2.0
#pragma once
// The words of a run on the screen.

#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/scores.hpp"
#include "io/block_file.hpp"
#include "pipeline/job.hpp"
#include "pipeline/predict.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

/// "3.4 s", "12 min 5 s", "3 h 2 min".
std::string duration_text(double seconds);

/// "turboboa, 2 bits, one scale a row, asymmetric, grid hessian, ..."
std::string method_words(const QuantSpec& quant);

/// "machine      2 ranks, 1 thread each; AMD EPYC, 2 cores"
std::string machine_line(const comm::Communicator& ranks, const std::string& threads,
                         const std::string& device);
std::vector<std::string> header_lines(const comm::Communicator& ranks, const Job& job,
                                      const Prediction& prediction, const std::string& device,
                                      const std::string& threads);

/// Without the output error when it is NaN, without the time to go when that is 0:
/// "block  3 of 16   loss 0.0213 (worst mlp.down_proj 0.0871)   output error 0.031   4.1 s   1 min
/// 20 s to go"
std::string block_line(const io::BlockRecord& record, Index blocks, double seconds,
                       double eta_seconds);

/// What somebody who reads a paper would want to know about this layer; empty when all went as
/// asked.
std::vector<std::string> layer_warnings(Index block, const QuantizedLayer& layer);

/// Full precision against this run, one row a token file.
std::vector<Screen::Row> score_table(const std::vector<Scores>& scores);
/// "seconds: statistics 3.1, solve 2.0, ..."
std::string phase_line(const SecondsByPhase& seconds);

/// The whole of `--dry-run`: resolved deck, memory, disk, time.
void show_prediction(const Job& job, const Prediction& prediction, Screen& screen);

}  // namespace constrictor::pipeline
