// SPDX-License-Identifier: Apache-2.0
#include "app/terminal_screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "app/terminal.hpp"
#include "core/text_table.hpp"
#include "core/timer.hpp"

namespace constrictor::app {

namespace {

constexpr double seconds_between_progress = 0.1;
constexpr const char* clear_line = "\r\x1b[K";

/// The first `columns` code points: a line that wraps could not be cleared.
std::string cut(const std::string& text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t used = 0; end < text.size(); ++end) {
    const bool starts = (text[end] & 0xC0) != 0x80;
    if (starts && used++ == columns) break;
  }
  return text.substr(0, end);
}

}  // namespace

TerminalScreen::TerminalScreen(int rank)
    : speaks_(rank == 0), live_(rank == 0 && stdout_is_terminal()) {}

TerminalScreen::~TerminalScreen() { clear_progress(); }

void TerminalScreen::clear_progress() {
  if (!shows_progress_) return;
  std::fputs(clear_line, stdout);
  std::fflush(stdout);
  shows_progress_ = false;
}

void TerminalScreen::header(const std::vector<std::string>& lines) {
  for (const std::string& text : lines) line(text);
  line("");
}

void TerminalScreen::progress(const std::string& text, double fraction) {
  if (!live_) return;
  const double now = wall_seconds();
  if (shows_progress_ && now - last_progress_ < seconds_between_progress) return;
  last_progress_ = now;
  const std::string share =
      fraction >= 0 ? fmt::format("[{:3.0f} %] ", 100 * std::min(fraction, 1.0)) : "";
  fmt::print("{}{}", clear_line, cut(share + text, terminal_columns() - 1));
  std::fflush(stdout);
  shows_progress_ = true;
}

void TerminalScreen::line(const std::string& text) {
  if (!speaks_) return;
  clear_progress();
  fmt::print("{}\n", text);
  std::fflush(stdout);  // a log file is read while the run goes on
}

void TerminalScreen::warning(const std::string& text) {
  if (!speaks_) return;
  clear_progress();
  fmt::print(stderr, "warning: {}\n", text);
}

void TerminalScreen::table(const std::vector<Row>& rows) {
  if (!speaks_) return;
  clear_progress();
  fmt::print("{}", text_table(rows));
  std::fflush(stdout);
}

}  // namespace constrictor::app
