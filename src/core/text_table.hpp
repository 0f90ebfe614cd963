// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace constrictor {

/// Columns two blanks apart, the first row underlined; a column whose cells below the first row all
/// look like numbers (or are empty, or "-") is set flush right. Rows may be shorter than the first.
/// Ends with a line feed; "" without rows.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// Columns that a UTF-8 text takes on a terminal, counting every code point as one.
std::size_t text_width(const std::string& text);

}  // namespace constrictor
