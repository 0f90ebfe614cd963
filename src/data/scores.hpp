// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor {

/// What evaluation finds on one token file. Perplexity = exp of the mean over windows of `nll`.
struct Scores {
  std::string dataset;  // name of the group in run.h5
  std::string tokens_sha256;
  Index length = 0;              // tokens in a window; length - 1 predictions
  std::vector<double> nll;       // [windows] mean cross-entropy of the quantized model, nats
  std::vector<double> full_nll;  // [windows] of the full-precision model; empty without kl
  std::vector<double> kl;        // [windows] mean KL(p_full || p_quant), nats; empty without kl
  double top1_agreement = 0;     // share of positions where both agree on the most likely token
  Index windows() const { return static_cast<Index>(nll.size()); }
};

}  // namespace constrictor
