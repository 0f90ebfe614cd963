// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "data/sweep.hpp"

namespace constrictor::io {

/// A sweep with its runs as JSON (schema 1), for analysis/ and other programs:
///   {"schema", "sweep", "out", "ranks",
///    "axes": [{"label", "keys", "values", "cell": null | "best" | "mean"}],
///    "runs": [{"run_id", "folder", "labels": {label: value},
///              "predicted": {"seconds", "bytes_per_rank", "disk_bytes"}}]}
std::string sweep_text(const Sweep& sweep, int ranks);

}  // namespace constrictor::io
