// SPDX-License-Identifier: Apache-2.0
#include "io/sha256.hpp"

#include "test_support.hpp"

namespace constrictor::io {
namespace {

// FIPS 180-2, appendix B, and the empty message.
TEST(Sha256, KnowsThePublishedDigests) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesAndFileGiveTheSameAsTheWhole) {
  const TemporaryFolder folder;
  write_bytes(folder / "abc", "abc");
  write_bytes(folder / "empty", "");
  EXPECT_EQ(Sha256().add("a").add("").add("bc").hex(), sha256("abc"));
  EXPECT_EQ(sha256_of_file(folder / "abc"), sha256("abc"));
  EXPECT_EQ(sha256_of_file(folder / "empty"), sha256(""));
}

TEST(Sha256, NamesTheFileThatCannotBeRead) {
  const TemporaryFolder folder;
  EXPECT_CONTAINS(message_of<UserError>([&] { sha256_of_file(folder / "none"); }),
                  "none: cannot be read: No such file or directory");
  EXPECT_CONTAINS(message_of<UserError>([&] { sha256_of_file(folder.path()); }),
                  "is not a regular file");
}

}  // namespace
}  // namespace constrictor::io
