# SPDX-License-Identifier: Apache-2.0
"""Turns text into a token file, the frozen input of every calibration and evaluation (`constrictor tokens`)."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from analysis import __version__
from analysis.errors import Parser, UserError, call

SAMPLER_HELP = """samplers:
  wikitext2-train  documents joined with blank lines, tokenized once; --sequences (128) random windows, with the random
                   numbers of CPython's random.seed(SEED) and randint(0, n - length - 1), as in the published papers
  c4-train         --sequences (128) times: a random document with more than LENGTH tokens, a random window of it
  windows          consecutive windows from the start, tail dropped; all of them, or the first --sequences
  c4-new           first 1100 documents joined with a space, first 256 windows
  documents        one sequence a document (its first LENGTH tokens); the dataset /length tells how many count

text files: plain UTF-8 (one document a file, or one a line with --lines), or JSON lines with a field "text"
(.jsonl, .json); both also as .gz or .xz. Special tokens are added exactly as the model's own tokenizer does
(a Llama tokenizer puts <s> before the text once, not before every window).

examples:
  constrictor tokens --tokenizer models/Llama-3.2-1B --text wikitext2-train.jsonl --sampler wikitext2-train \\
      --sequences 128 --length 2048 --seed 0 --out tokens/wikitext2-train.tokens.h5
  constrictor tokens --tokenizer models/Llama-3.2-1B --text wikitext2-test.jsonl --sampler windows --length 2048 \\
      --out tokens/wikitext2-test.tokens.h5
  constrictor tokens --tokenizer models/Llama-3.2-1B --text c4-validation.00000-of-00008.json.gz --sampler c4-new \\
      --length 2048 --out tokens/c4-new.tokens.h5

exit codes: 0 done, 2 bad input, 5 the file cannot be written. The same inputs give the same bytes."""


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


positive.__name__ = "positive whole number"  # argparse prints it: "invalid positive whole number value: '0'"


def parse(arguments):
    parser = Parser(prog="constrictor tokens", description=__doc__, epilog=SAMPLER_HELP,
                    formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="model folder, or its tokenizer.json")
    parser.add_argument("--text", required=True, nargs="+", metavar="FILE", help="text files, joined in this order")
    parser.add_argument("--sampler", required=True, metavar="NAME", help="see below")
    parser.add_argument("--out", required=True, metavar="FILE", help="token file to write, usually *.tokens.h5")
    parser.add_argument("--length", type=positive, default=2048, metavar="N", help="tokens a sequence (2048)")
    parser.add_argument("--sequences", type=positive, metavar="N", help="how many sequences, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the random samplers (0)")
    parser.add_argument("--purpose", choices=("calibration", "evaluation"),
                        help="written into the file (calibration for the random samplers, else evaluation)")
    parser.add_argument("--lines", action="store_true",
                        help="plain text: every line is a document (for wiki.train.raw as published)")
    return parser.parse_args(arguments)


def open_tokenizer(path):
    """(tokenizer, bytes of tokenizer.json, vocabulary of the model or None)."""
    from tokenizers import Tokenizer
    path = Path(path)
    file, config = (path / "tokenizer.json", path / "config.json") if path.is_dir() else (path, None)
    if not file.is_file():
        hint = ("; transformers makes one: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
                if path.is_dir() else "")
        raise UserError(f"{file}: no such tokenizer{hint}")
    try:
        content = file.read_bytes()
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        vocabulary = json.loads(config.read_text()).get("vocab_size") if config and config.is_file() else None
    except Exception as error:  # the Rust side raises plain Exception, whatever is wrong
        raise UserError(f"{file}: not a usable tokenizer: {error}") from None
    tokenizer.no_truncation()  # as tokenizer(text) of transformers does, whatever the file says
    tokenizer.no_padding()
    return tokenizer, content, vocabulary


def joined_sha256(documents, separator):
    """Hash of all documents joined, UTF-8, without joining them: a C4 shard is most of a gigabyte."""
    digest = hashlib.sha256()
    for index, text in enumerate(documents):
        digest.update(((separator if index else "") + text).encode())
    return digest.hexdigest()


def build(options):
    """Everything of the token file in memory: (Sample, attributes)."""
    import numpy as np

    from analysis.samplers import SAMPLERS
    from analysis.text_input import read_documents
    if options.sampler not in SAMPLERS:
        raise UserError(f"unknown sampler '{options.sampler}'; known are {', '.join(SAMPLERS)}")
    tokenizer, tokenizer_json, vocabulary = open_tokenizer(options.tokenizer)
    documents = [text for path in options.text for text in read_documents(path, options.lines)]

    def encode(text):
        return np.asarray(tokenizer.encode(text, add_special_tokens=True).ids, np.int32)

    try:
        sample = SAMPLERS[options.sampler](documents, encode, options)
    except UserError as error:
        raise UserError(f"{', '.join(options.text)}: {error}") from None
    largest = int(sample.tokens.max())
    if vocabulary is not None and largest >= vocabulary:
        raise UserError(f"{options.tokenizer}: the tokenizer gave id {largest}, but config.json has a vocabulary of "
                        f"{vocabulary}; tokenizer and model do not belong together")
    before_text = encode("")
    return sample, {
        "schema": np.int64(1),
        "purpose": options.purpose or ("calibration" if options.sampler.endswith("-train") else "evaluation"),
        "vocab_size": np.int64(max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1),
        "tokenizer_sha256": hashlib.sha256(tokenizer_json).hexdigest(),
        "text_sha256": joined_sha256(documents, sample.separator),
        "text_name": ", ".join(Path(path).name for path in options.text),
        "sampler": options.sampler,
        "seed": np.int64(options.seed),
        "bos_id": np.int64(before_text[0] if len(before_text) else -1),  # put before a text; -1 = none
        "tokens_sha256": hashlib.sha256(sample.tokens.astype("<i4").tobytes()).hexdigest(),
        "created_by": f"constrictor tokens {__version__}",
    }


def main(arguments=None):
    options = parse(arguments)
    from analysis import token_file
    sample, attributes = build(options)
    datasets = {"tokens": sample.tokens, "start": sample.start}
    datasets |= {name: values for name, values in (("document", sample.document), ("length", sample.length))
                 if values is not None}
    token_file.write(options.out, token_file.image(datasets, attributes))
    rows, columns = sample.tokens.shape
    print(f"{options.out}: {rows} {attributes['purpose']} sequences x {columns} tokens by {options.sampler} from "
          f"{sample.text_tokens} tokens of {attributes['text_name']}")
    print(f"tokens_sha256 {attributes['tokens_sha256']}")


if __name__ == "__main__":
    sys.exit(call(main, "constrictor tokens"))
