// SPDX-License-Identifier: Apache-2.0
#include "app/options.hpp"

#include "core/error.hpp"

namespace constrictor::app {

po::variables_map parsed(const po::options_description& options, const char* positional,
                         const Texts& words, const std::string& command) {
  po::positional_options_description positions;
  positions.add(positional, 1);
  po::variables_map values;
  try {
    // Half-typed options are refused: scripts would break when an option is added.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::store(
        po::command_line_parser(words).options(options).positional(positions).style(style).run(),
        values);
    po::notify(values);
  } catch (const po::too_many_positional_options_error&) {
    throw UserError(command + ": too many arguments; see constrictor " + command + " --help");
  } catch (const po::error& error) {
    throw UserError(command + ": " + error.what() + "; see constrictor " + command + " --help");
  }
  return values;
}

std::string text_of(const po::variables_map& values, const char* name) {
  return values.count(name) != 0 ? values[name].as<std::string>() : "";
}

Texts texts_of(const po::variables_map& values, const char* name) {
  return values.count(name) != 0 ? values[name].as<Texts>() : Texts{};
}

po::typed_value<Texts>* assignments() {
  return po::value<Texts>()->composing()->value_name("section.key=value");
}

CommandLine help_line(std::string text) {
  CommandLine line;
  line.help = std::move(text);
  return line;
}

}  // namespace constrictor::app
