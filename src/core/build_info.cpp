// SPDX-License-Identifier: Apache-2.0
#include "core/build_info.hpp"

#include "core/build_info_values.hpp"  // generated

namespace constrictor {

const BuildInfo& build_info() {
  static const BuildInfo info = {build_values::version, build_values::git_sha,
                                 build_values::compiler, build_values::build_type};
  return info;
}

}  // namespace constrictor
