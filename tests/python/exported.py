# SPDX-License-Identifier: Apache-2.0
"""An exported folder read with numpy alone, from the description of the layouts: no line is shared with the program."""

import json
from pathlib import Path

import h5py
import numpy as np

STORED = {"I32": "<u4", "I64": "<i8", "F16": "<f2", "F32": "<f4", "BF16": "<u2"}


def tensors(folder):
    """{name: (dtype, array)} of all safetensors files; bfloat16 becomes float32. Checks index and alignment on the way."""
    folder, found = Path(folder), {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        assert header.pop("__metadata__") == {"format": "pt"}
        assert length % 8 == 0
        end = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            first, last = entry["data_offsets"]
            assert first == end
            end = last
            values = np.frombuffer(data[8 + length + first:8 + length + last], STORED[entry["dtype"]])
            assert first % values.itemsize == 0, f"{name} is not aligned"
            if entry["dtype"] == "BF16":
                values = (values.astype(np.uint32) << 16).view(np.float32)
            found[name] = entry["dtype"], values.reshape(entry["shape"])
        assert 8 + length + end == len(data)
    return found


def codes(words, bits, count):
    """Codes [rows, count] of the streams in the rows of `words`, bit by bit."""
    words = np.ascontiguousarray(words, "<u4")
    stream = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :count * bits]
    return stream.reshape(len(words), count, bits) @ (1 << np.arange(bits))


def spread(values, count):
    """[out, groups] -> [out, count]"""
    return np.repeat(values, count // values.shape[1], axis=1)


def compressed_tensors_weight(found, name, bits):
    """Q' = s (C - z) in float32 of one module, and its scales."""
    out, inputs = found[name + ".weight_shape"][1]
    c = codes(found[name + ".weight_packed"][1], bits, inputs)
    scale = found[name + ".weight_scale"][1].astype(np.float32)
    if name + ".weight_zero_point" in found:
        z = codes(found[name + ".weight_zero_point"][1].T, bits, out).T
    else:
        z = np.full(scale.shape, 1 << (bits - 1))
    return spread(scale, inputs) * (c - spread(z, inputs)).astype(np.float32), scale


def gptq_weight(found, name, bits, zero_minus_one):
    scale = found[name + ".scales"][1].astype(np.float32).T
    groups = found[name + ".g_idx"][1].astype(np.int64)
    c = codes(found[name + ".qweight"][1].T, bits, len(groups))
    z = codes(found[name + ".qzeros"][1], bits, len(scale)).T + zero_minus_one
    return scale[:, groups] * (c - z[:, groups]).astype(np.float32), scale


def run_layers(run):
    """(block, layer name, group of its file as a dict of arrays and attributes) of a run folder."""
    for path in sorted((Path(run) / "blocks").glob("*.h5")):
        with h5py.File(path) as file:
            for name, group in file.items():
                if "codes" in group:
                    yield int(path.stem), name, {**group.attrs, **{key: group[key][:] for key in
                                                                   ("codes", "scale", "zero")}}


def rounded(values, dtype):
    """float32 values after storing them as `dtype` (BF16, F16, F32)."""
    values = np.asarray(values, np.float32)
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).astype(np.uint32).view(np.float32)
    return values
