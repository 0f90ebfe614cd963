// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pipeline/screen.hpp"

namespace constrictor::app {

/// Screen on stdout: rank 0 speaks, the others are silent. The live progress line appears only when
/// stdout is a terminal; a log file gets plain lines.
class TerminalScreen : public pipeline::Screen {
 public:
  explicit TerminalScreen(int rank);
  ~TerminalScreen() override;
  TerminalScreen(const TerminalScreen&) = delete;
  TerminalScreen& operator=(const TerminalScreen&) = delete;

  void header(const std::vector<std::string>& lines) override;
  void progress(const std::string& text, double fraction) override;
  void line(const std::string& text) override;
  void warning(const std::string& text) override;
  void table(const std::vector<Row>& rows) override;

 private:
  void clear_progress();

  bool speaks_;
  bool live_;  // progress line wanted
  bool shows_progress_ = false;
  double last_progress_ = -1;  // seconds; a terminal needs no more than ten lines a second
};

}  // namespace constrictor::app
