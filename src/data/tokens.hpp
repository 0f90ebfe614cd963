// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "core/matrix.hpp"

namespace constrictor {

/// One token file: sequences of equal length, and where they come from.
struct Tokens {
  Matrix<std::int32_t> ids;  // [sequences x length]
  Index vocabulary = 0;
  std::string path;
  std::string text_name;
  std::string purpose;  // calibration | evaluation
  std::string sampler;
  std::string tokens_sha256;
  std::string tokenizer_sha256;
  Index sequences() const { return ids.rows(); }
  Index length() const { return ids.cols(); }
};

}  // namespace constrictor
