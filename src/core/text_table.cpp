// SPDX-License-Identifier: Apache-2.0
#include "core/text_table.hpp"

#include <algorithm>

namespace constrictor {

namespace {

/// "3", "-0.5", "1.2e-03", "97 %", "4.1 GiB": starts like a number.
bool looks_like_number(const std::string& cell) {
  if (cell.empty() || cell == "-") return true;
  const std::size_t start = cell[0] == '-' || cell[0] == '+' ? 1 : 0;
  return start < cell.size() && cell[start] >= '0' && cell[start] <= '9';
}

}  // namespace

std::size_t text_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::size_t columns = 0;
  for (const auto& row : rows) columns = std::max(columns, row.size());
  std::vector<std::size_t> width(columns, 0);
  std::vector<bool> right(columns, rows.size() > 1);
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      width[c] = std::max(width[c], text_width(rows[r][c]));
      if (r > 0 && !looks_like_number(rows[r][c])) right[c] = false;
    }

  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const std::string padding(width[c] - text_width(rows[r][c]), ' ');
      if (c > 0) line += "  ";
      line += right[c] ? padding + rows[r][c] : rows[r][c] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (r == 0) {
      for (std::size_t c = 0; c < columns; ++c)
        text += (c > 0 ? "  " : "") + std::string(width[c], '-');
      text += "\n";
    }
  }
  return text;
}

}  // namespace constrictor
