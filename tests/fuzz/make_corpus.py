#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the safetensors fuzzer: a few small files, right ones and nearly right ones.

usage: make_corpus.py FOLDER
"""
import json
import pathlib
import struct
import sys


def image(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


SEEDS = {
    "empty": image({}),
    "scalar": image({"a": tensor("F32", [], 0, 4)}, bytes(4)),
    "two": image({"__metadata__": {"format": "pt"}, "model.norm.weight": tensor("BF16", [4], 0, 8),
                  "lm_head.weight": tensor("F16", [2, 3], 8, 20)}, bytes(20)),
    "hole": image({"a": tensor("U8", [1], 1, 2)}, bytes(2)),
    "overlap": image({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, bytes(3)),
    "overflow": image({"a": tensor("F64", [2**62, 2**62], 0, 0)}),
    "twice": image(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'),
    "deep": image(b'{"a":{"shape":[[[[[[[['),
    "no_utf8": image(b'{"\xff":1}'),
    "huge_length": struct.pack("<Q", 2**63) + b"{}",
}

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in SEEDS.items():
        (folder / name).write_bytes(content)
