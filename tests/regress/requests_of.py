# SPDX-License-Identifier: Apache-2.0
"""Request files of the tests: the golden one, parts of it, and copies with one thing wrong."""

import hashlib
import json

import h5py
import numpy as np

from analysis import request_file
from program import ROOT

GOLDEN = ROOT / "tests" / "oracle" / "demo.requests.h5"


def golden_answers():
    """What lm-evaluation-harness's own Transformers backend said to GOLDEN, in float32."""
    return json.loads((ROOT / "tests" / "oracle" / "demo_requests.json").read_text())


def changed_requests(path, keep=None, rehash=True, **changes):
    """GOLDEN with the requests `keep`; `changes`: attributes, or functions of a dataset's array, by name."""
    with h5py.File(GOLDEN) as file:
        arrays = {name: file[name][:] for name in ("tokens", "offset", *request_file.COLUMNS)}
        attributes = dict(file.attrs)
        groups = {name: dict(group.attrs) for name, group in file["tasks"].items()}
    if keep is not None:
        tokens = [arrays["tokens"][arrays["offset"][i]:arrays["offset"][i + 1]] for i in keep]
        arrays = {name: arrays[name][keep] for name in request_file.COLUMNS} | {
            "tokens": np.concatenate(tokens), "offset": np.cumsum([0] + [len(t) for t in tokens])}
    for name, change in changes.items():
        if name in arrays:
            arrays[name] = change(arrays[name].copy())
        else:
            attributes[name] = change
    if rehash:
        digest = hashlib.sha256()
        for name in ("tokens", "offset", *request_file.COLUMNS):
            digest.update(arrays[name].astype("<i8" if name == "offset" else "<i4").tobytes())
        for name, facts in sorted(groups.items(), key=lambda item: item[1]["number"]):
            digest.update(f"{name}\n{facts['rule']}\n{facts['acc_norm']}\n".encode())
        attributes["requests_sha256"] = digest.hexdigest()
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values.astype("<i8" if name == "offset" else "<i4")
        for name, facts in groups.items():
            file.create_group(f"tasks/{name}").attrs.update(facts)
        file.attrs.update(attributes)
    return path
