// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the commands' parsers share. Internal to command_line.cpp and sweep_command_line.cpp.

#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "app/command_line.hpp"

namespace constrictor::app {

namespace po = boost::program_options;
using Texts = std::vector<std::string>;

/// Options of one command; positional words go to the option named `positional`. UserError, one
/// sentence that names the command, for anything else.
po::variables_map parsed(const po::options_description& options, const char* positional,
                         const Texts& words, const std::string& command);

/// The value of an option, empty when it was not given.
std::string text_of(const po::variables_map& values, const char* name);
Texts texts_of(const po::variables_map& values, const char* name);

/// --set may be given many times, each with one assignment.
po::typed_value<Texts>* assignments();

CommandLine help_line(std::string text);

CommandLine parse_generate(const Texts& words);
CommandLine parse_plan(const Texts& words);
CommandLine parse_sweep(const Texts& words);
CommandLine parse_status(const Texts& words);
CommandLine parse_retry(const Texts& words);

}  // namespace constrictor::app
