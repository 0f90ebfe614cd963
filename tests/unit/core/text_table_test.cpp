// SPDX-License-Identifier: Apache-2.0
#include "core/text_table.hpp"

#include <gtest/gtest.h>

namespace constrictor {
namespace {

TEST(TextTable, AlignsNumbersRightAndWordsLeft) {
  EXPECT_EQ(text_table({{"layer", "loss", "λ"}, {"q_proj", "0.5", "1e-2"}, {"o", "12.25", "-"}}),
            "layer    loss     λ\n"
            "------  -----  ----\n"
            "q_proj    0.5  1e-2\n"
            "o       12.25     -\n");
}

TEST(TextTable, ShortRowsAndNoRows) {
  EXPECT_EQ(text_table({}), "");
  EXPECT_EQ(text_table({{"a", "b"}}), "a  b\n-  -\n");
  EXPECT_EQ(text_table({{"a", "bb"}, {"word"}, {"", "x"}}), "a     bb\n----  --\nword\n      x\n");
}

TEST(TextWidth, CountsCodePoints) {
  EXPECT_EQ(text_width("Ŵ = λ"), 5u);
  EXPECT_EQ(text_width(""), 0u);
}

}  // namespace
}  // namespace constrictor
