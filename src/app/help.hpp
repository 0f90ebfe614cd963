// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace constrictor::app {

// The help texts. `options` is the list that Boost prints from the options themselves.
std::string help_of_all();
std::string help_of_quantize(const std::string& options);
std::string help_of_evaluate(const std::string& options);
std::string help_of_bench(const std::string& options);
std::string help_of_export(const std::string& options);
std::string help_of_inspect();
std::string help_of_plan(const std::string& options);
std::string help_of_sweep(const std::string& options);
std::string help_of_status(const std::string& options);
std::string help_of_retry(const std::string& options);

/// Versions of the program and its libraries and what this build can do, several lines.
std::string version_text();

}  // namespace constrictor::app
