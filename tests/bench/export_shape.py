#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run in the shape of a real model, to time `constrictor export`: random codes, one block's file linked under all numbers;
the model's weights are holes in a sparse file (read as zeros), so that reading them costs no disk.

usage: export_shape.py FINISHED_RUN FOLDER [--bits 2] [--blocks 32]
       then: constrictor export FOLDER/run --format compressed-tensors --to FOLDER/out
FINISHED_RUN: any run of a Llama model; its attributes are taken over.
"""
import argparse
import json
import os
from pathlib import Path

import h5py
import numpy as np

from random_model import Shape

LLAMA_3_8B = dict(hidden=4096, heads=32, kv_heads=8, head_dim=128, feed_forward=14336, vocabulary=128256)


def write_model(folder, shape):
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, extents in shape.tensors():
        size = 2 * int(np.prod(extents))
        header[name] = {"dtype": "BF16", "shape": list(extents), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward, "num_hidden_layers": shape.blocks, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim, "vocab_size": shape.vocabulary,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16"}))


def write_run(folder, template, shape, bits):
    random = np.random.default_rng(0)
    extents = {name.removeprefix("model.layers.0.").removesuffix(".weight"): size for name, size in shape.tensors()
               if name.startswith("model.layers.0.") and len(size) == 2}
    (folder / "blocks").mkdir(parents=True)
    first = folder / "blocks" / "0000.h5"
    with h5py.File(template / "blocks" / "0000.h5") as old, h5py.File(first, "w", libver=("earliest", "v110")) as new:
        new.attrs.update(old.attrs)
        for name, (out, inputs) in extents.items():
            group = new.create_group(name)
            group.attrs.update({**old[name].attrs, "bits": np.int64(bits), "group_size": np.int64(0), "symmetric": False})
            group.create_dataset("codes", data=random.integers(0, 1 << bits, (out, inputs), np.uint8),
                                 chunks=(max(1, (1 << 20) // inputs), inputs), shuffle=True, compression="gzip",
                                 compression_opts=1)
            group["scale"] = random.uniform(0.01, 0.02, (out, 1)).astype(np.float32)
            group["zero"] = random.integers(0, 1 << bits, (out, 1)).astype(np.float32)
            group["error/row_loss"] = np.zeros(out, np.float32)
            group["error/column_energy"] = np.zeros(inputs, np.float32)
    for block in range(1, shape.blocks):
        os.link(first, folder / "blocks" / f"{block:04}.h5")
    with h5py.File(template / "run.h5") as old, h5py.File(folder / "run.h5", "w", libver=("earliest", "v110")) as new:
        new.attrs.update({name: value for name, value in old.attrs.items() if not name.endswith("_sha256")})
        new.create_group("blocks")
        new.create_group("evaluation")
    lines = (template / "deck.yaml").read_text().splitlines()
    lines[1] = f"  path: {(folder.parent / 'model').resolve()}"
    (folder / "deck.yaml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("template", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bits", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=32)
    arguments = parser.parse_args()
    shape = Shape(blocks=arguments.blocks, **LLAMA_3_8B)
    (arguments.folder / "model").mkdir(parents=True)
    write_model(arguments.folder / "model", shape)
    write_run(arguments.folder / "run", arguments.template, shape, arguments.bits)
