# SPDX-License-Identifier: Apache-2.0
"""Reads text as a list of documents: plain text or JSON lines, also compressed (.gz, .xz)."""

import gzip
import json
import lzma
import zlib
from pathlib import Path

from analysis.errors import UserError

OPENERS = {".gz": gzip.open, ".xz": lzma.open}


def read_bytes(path):
    """The file's content, decompressed by its suffix."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, a text file is needed")
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def read_documents(path, lines=False):
    """The documents of one file, in its order.

    JSON lines (.jsonl, .json, also .gz, .xz): the field "text" of every line is a document.
    Anything else is plain UTF-8: the whole file is one document; with `lines` every line is one, and a blank
    line an empty one, as the `datasets` library cuts wiki.train.raw. Line ends stay as they are in the file.
    """
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    suffixes = [s for s in Path(path).suffixes if s not in OPENERS]
    if suffixes and suffixes[-1] in (".jsonl", ".json"):
        return [_document(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if lines:
        return [line if line.strip() else "" for line in _lines(text)]
    return [text]


def _lines(text):
    """Lines with their ends; cut at "\\n" only, where str.splitlines would also cut at form feeds and the like."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _document(path, number, line):
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise UserError(f'{path}:{number}: not a JSON object with a string "text"')
    return text
