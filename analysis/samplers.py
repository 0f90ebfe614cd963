# SPDX-License-Identifier: Apache-2.0
"""Which windows of a text become sequences; the order of random numbers is that of the published code.

Every sampler takes (documents, encode, options) and returns a Sample. `encode(text)` gives the ids as an int32
array; `options` has length, sequences (None = the sampler's own number) and seed.
"""

import random
from typing import NamedTuple, Optional

import numpy as np

from analysis.errors import UserError


class Sample(NamedTuple):
    tokens: np.ndarray                      # int32 [sequences, length]
    start: np.ndarray                       # int64 [sequences], offset in the tokenized text (or in its document)
    text_tokens: int                        # tokens that were drawn from
    separator: str = "\n\n"                 # what joined the documents
    document: Optional[np.ndarray] = None   # int64 [sequences], which document, where they are drawn one by one
    length: Optional[np.ndarray] = None     # int32 [sequences], tokens that count, where rows are padded


def _cut(ids, starts, length, separator="\n\n"):
    starts = np.asarray(starts, np.int64)
    rows = [ids[start:start + length] for start in starts]
    return Sample(np.stack(rows).astype(np.int32), starts, len(ids), separator)


def wikitext2_train(documents, encode, options):
    """Random windows of the joined text, as in GPTQ's get_wikitext2: one randint(0, n - length - 1) a sequence."""
    ids, length = encode("\n\n".join(documents)), options.length
    if len(ids) <= length:
        raise UserError(f"the text has {len(ids)} tokens, random windows of {length} need at least {length + 1}")
    chance = random.Random(options.seed)  # the same numbers as random.seed(seed); random.randint(...)
    return _cut(ids, [chance.randint(0, len(ids) - length - 1) for _ in range(options.sequences or 128)], length)


def windows(documents, encode, options, separator="\n\n", most=None):
    """Consecutive windows without overlap from the first token on; the tail is dropped."""
    ids, length = encode(separator.join(documents)), options.length
    count = min(len(ids) // length, options.sequences or most or len(ids))
    if count == 0:
        raise UserError(f"the text has {len(ids)} tokens, less than one window of {length}")
    return _cut(ids, np.arange(count) * length, length, separator)


def c4_new(documents, encode, options):
    """The first 1100 documents joined with a space, then the first 256 windows."""
    return windows(documents[:1100], encode, options, separator=" ", most=256)


def c4_train(documents, encode, options):
    """A random document until one has more than `length` tokens, then a random window of it (GPTQ's get_c4)."""
    length, chance = options.length, random.Random(options.seed)
    rows, starts, chosen, too_short, drawn = [], [], [], set(), {}
    while len(rows) < (options.sequences or 128):
        index = chance.randint(0, len(documents) - 1)
        if index in too_short:
            continue
        ids = drawn[index] if index in drawn else encode(documents[index])
        if len(ids) <= length:
            too_short.add(index)
            if len(too_short) == len(documents):  # else this would never end
                raise UserError(f"none of the {len(documents)} documents has more than {length} tokens")
            continue
        drawn[index] = ids
        start = chance.randint(0, len(ids) - length - 1)
        rows.append(ids[start:start + length])
        starts.append(start)
        chosen.append(index)
    return Sample(np.stack(rows).astype(np.int32), np.asarray(starts, np.int64),
                  sum(len(ids) for ids in drawn.values()), document=np.asarray(chosen, np.int64))


def documents(documents, encode, options):
    """One sequence a document: its first `length` tokens, padded with id 0; `length` of the file tells how many count."""
    encoded = [(index, encode(text)[:options.length]) for index, text in enumerate(documents)]
    encoded = [(index, ids) for index, ids in encoded if len(ids)][:options.sequences]
    if not encoded:
        raise UserError("none of the documents has a token")
    lengths = np.asarray([len(ids) for _, ids in encoded], np.int32)
    tokens = np.zeros((len(encoded), lengths.max()), np.int32)
    for row, (_, ids) in zip(tokens, encoded):
        row[:len(ids)] = ids
    return Sample(tokens, np.zeros(len(encoded), np.int64), int(lengths.sum()),
                  document=np.asarray([index for index, _ in encoded], np.int64), length=lengths)


SAMPLERS = {"wikitext2-train": wikitext2_train, "windows": windows, "c4-train": c4_train, "c4-new": c4_new,
            "documents": documents}
