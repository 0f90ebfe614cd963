# SPDX-License-Identifier: Apache-2.0
"""Samplers against CPython's random numbers and windows counted by hand."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import samplers
from analysis.errors import UserError


def letters(text):
    """One token a character, so that an id tells its place in the text."""
    return np.frombuffer(text.encode("latin-1"), np.uint8).astype(np.int32)


def options(length, sequences=None, seed=0):
    return SimpleNamespace(length=length, sequences=sequences, seed=seed)


def test_wikitext2_train_has_the_starts_of_cpython():
    # random.seed(0); [random.randint(0, 100 - 10 - 1) for _ in range(5)] as typed into CPython 3.11
    sample = samplers.wikitext2_train(["a" * 49, "b" * 49], letters, options(10, 5))
    assert sample.start.tolist() == [49, 53, 5, 33, 65]
    assert sample.text_tokens == 49 + 2 + 49
    text = "a" * 49 + "\n\n" + "b" * 49
    assert [bytes(row.astype(np.uint8)).decode() for row in sample.tokens] == [text[s:s + 10] for s in sample.start]


def test_wikitext2_train_leaves_the_global_generator_alone_and_follows_the_seed():
    random.seed(7)
    expected = [random.randint(0, 30 - 4 - 1) for _ in range(128)]
    random.seed(99)
    before = random.getstate()
    sample = samplers.wikitext2_train(["x" * 30], letters, options(4, seed=7))
    assert random.getstate() == before
    assert sample.start.tolist() == expected and sample.tokens.shape == (128, 4)  # 128: the papers' number


def test_wikitext2_train_needs_one_token_more_than_a_window():
    assert samplers.wikitext2_train(["abcde"], letters, options(4, 3)).start.tolist() == [0, 0, 0]
    with pytest.raises(UserError, match="4 tokens, random windows of 4 need at least 5"):
        samplers.wikitext2_train(["abcd"], letters, options(4, 3))


def test_windows_are_consecutive_and_drop_the_tail():
    sample = samplers.windows(["abcd", "efgh"], letters, options(3))
    assert [bytes(row.astype(np.uint8)) for row in sample.tokens] == [b"abc", b"d\n\n", b"efg"]
    assert sample.start.tolist() == [0, 3, 6] and sample.start.dtype == np.int64
    assert samplers.windows(["abcdefgh"], letters, options(3, 1)).start.tolist() == [0]
    assert samplers.windows(["abc"], letters, options(3)).tokens.shape == (1, 3)
    with pytest.raises(UserError, match="less than one window"):
        samplers.windows(["ab"], letters, options(3))


def test_c4_new_takes_1100_documents_and_256_windows():
    documents = ["a"] * 1100 + ["z"] * 50
    sample = samplers.c4_new(documents, letters, options(4))
    assert sample.text_tokens == 2199 and not (sample.tokens == ord("z")).any()
    assert sample.tokens.shape == (256, 4) and bytes(sample.tokens[0].astype(np.uint8)) == b"a a "


def test_c4_train_draws_documents_until_one_is_long_enough():
    documents = ["abc", "defghijk", "lm", "nopqrstuvw"]
    chance = random.Random(3)  # the loop of the published code, with windows of 4
    expected = []
    for _ in range(6):
        while len(documents[i := chance.randint(0, 3)]) <= 4:
            pass
        expected.append((i, chance.randint(0, len(documents[i]) - 4 - 1)))
    sample = samplers.c4_train(documents, letters, options(4, 6, seed=3))
    assert list(zip(sample.document.tolist(), sample.start.tolist())) == expected
    assert [bytes(r.astype(np.uint8)).decode() for r in sample.tokens] == [documents[i][s:s + 4] for i, s in expected]


def test_c4_train_ends_when_no_document_is_long_enough():
    with pytest.raises(UserError, match="none of the 3 documents has more than 4 tokens"):
        samplers.c4_train(["abcd", "ab", ""], letters, options(4))


def test_documents_are_cut_padded_and_counted():
    sample = samplers.documents(["abcdef", "", "gh"], letters, options(4))
    assert sample.tokens.tolist() == [[97, 98, 99, 100], [103, 104, 0, 0]]
    assert sample.length.tolist() == [4, 2] and sample.document.tolist() == [0, 2]
