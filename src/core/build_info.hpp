// SPDX-License-Identifier: Apache-2.0
#pragma once
// What this program was built from; the values come from cmake/build_info.cmake at build time.

#include <string>

namespace constrictor {

struct BuildInfo {
  std::string version;   // "0.1.0"
  std::string git_sha;   // 12 digits, with + when tracked files were changed; "unknown" without git
  std::string compiler;  // "GNU 12.2.0"
  std::string build_type;
};

const BuildInfo& build_info();

}  // namespace constrictor
