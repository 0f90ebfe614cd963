# SPDX-License-Identifier: Apache-2.0
"""Inputs of the tests: token files, decks, models with one thing wrong."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np

from analysis import token_file, tokens
from program import ROOT

DEMO = ROOT / "experiments" / "demo"
WORK = Path(os.environ.get("CONSTRICTOR_WORK", ROOT / "build" / "tests" / "regress"))  # keeps token files between tests
RECIPES = {"calibration": ("wikitext2-train", 128), "evaluation": ("windows", 256)}


def demo_tokens(purpose):
    """The token file of the demo with the same bytes as `make demo` makes, made when it is missing or old."""
    path, text = WORK / f"{purpose}.tokens.h5", DEMO / "text" / f"{purpose}.txt.xz"
    sources = [text, DEMO / "model" / "tokenizer.json", *(ROOT / "analysis").glob("*.py")]
    if not path.exists() or path.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        sampler, sequences = RECIPES[purpose]
        made = WORK / f"{purpose}.{os.getpid()}.h5"  # tests may run side by side
        tokens.main(["--tokenizer", str(DEMO / "model"), "--text", str(text), "--sampler", sampler, "--sequences",
                     str(sequences), "--length", "256", "--seed", "0", "--out", str(made)])
        made.rename(path)
    return path


def write_tokens(path, ids, **attributes):
    """A token file with these ids [sequences, length] and true hashes, but for what `attributes` say."""
    ids = np.asarray(ids, np.int32)
    facts = {"schema": np.int64(1), "purpose": "calibration", "vocab_size": np.int64(2048), "tokenizer_sha256": "",
             "tokens_sha256": hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest(), **attributes}
    token_file.write(path, token_file.image({"tokens": ids}, facts))
    return path


def short_tokens(source, path, sequences, length):
    """The first `length` tokens of the first `sequences` sequences of another file."""
    with h5py.File(source) as file:
        return write_tokens(path, file["tokens"][:sequences, :length], vocab_size=file.attrs["vocab_size"],
                            tokenizer_sha256=file.attrs["tokenizer_sha256"])


def write_deck(path, model, calibration, evaluation=None, sequences=20):
    path.write_text(f"model:\n  path: {model}\ncalibration:\n  tokens: {calibration}\n  sequences: {sequences}\n"
                    f"quant:\n  method: turboboa\nevaluation:\n  tokens: [{evaluation or ''}]\n"
                    f"run:\n  out: {path.parent / 'runs'}\n")
    return path


def copied_model(source, folder):
    shutil.copytree(source, folder)
    return folder


def edit_config(folder, **changes):
    """Changes keys of config.json; None removes one."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def split_safetensors(path):
    """(header as a dict, the bytes after it)"""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8:8 + length]), bytearray(data[8 + length:])


def join_safetensors(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def edit_tensor(folder, name, change):
    """`change(values)` edits the float32 values of a bfloat16 tensor in place; they are truncated when written back."""
    path = folder / "model.safetensors"
    header, data = split_safetensors(path)
    first, last = header[name]["data_offsets"]
    stored = np.frombuffer(data[first:last], np.uint16)
    values = (stored.astype(np.uint32) << 16).view(np.float32).reshape(header[name]["shape"]).copy()
    change(values)
    data[first:last] = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    join_safetensors(path, header, data)
