// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"

namespace constrictor {

/// How a query at position p turns products with keys into attention: it sees the keys
/// p - window + 1 .. p (all before it without a window), and a score is
///   c tanh(s / c),  s = scale q'k      with a soft cap c, or s itself without
struct AttentionForm {
  float scale = 1;
  Index window = 0;    // keys that a query sees, its own among them; 0: all up to its own
  float soft_cap = 0;  // 0: none

  /// The first key that position p sees.
  constexpr Index first_key(Index p) const {
    return window > 0 && p >= window ? p - window + 1 : 0;
  }
};

}  // namespace constrictor
