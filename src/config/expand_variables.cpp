// SPDX-License-Identifier: Apache-2.0
#include "config/expand_variables.hpp"

#include <cstdlib>

#include "core/error.hpp"

namespace constrictor::config {

std::string expand_variables(const std::string& path) {
  std::string expanded;
  std::size_t done = 0;
  for (std::size_t open; (open = path.find("${", done)) != std::string::npos;) {
    const std::size_t close = path.find('}', open);
    if (close == std::string::npos) throw UserError("'" + path + "' has a '${' without its '}'");
    const std::string name = path.substr(open + 2, close - open - 2);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0')
      throw UserError("'" + path + "': the environment variable " + name + " is not set (export " +
                      name + "=/a/folder)");
    expanded += path.substr(done, open - done) + value;
    done = close + 1;
  }
  return expanded + path.substr(done);
}

}  // namespace constrictor::config
