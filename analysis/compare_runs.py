# SPDX-License-Identifier: Apache-2.0
"""Tells whether two runs hold the same bits, whatever machine, number of ranks or interruptions they had: what
`python -m analysis diff` rests on, and tests that kill runs."""

from pathlib import Path

import h5py
import numpy as np

from analysis.read_results import check_schema, open_h5, plain

# What may differ: when, where and by which build it ran. The deck also holds paths and machine settings; run_id,
# the hash of the deck without those, is compared in its place.
MACHINE = {"seconds", "rank", "seconds_by_phase", "peak_memory_bytes", "peak_device_memory_bytes", "hosts", "ranks", "threads",
           "device", "started", "finished", "git_sha", "version", "compiler", "libraries", "deck"}


def attribute_difference(where, a, b):
    """Yields sentences about attributes of two HDF5 objects."""
    names = (set(a.attrs) | set(b.attrs)) - MACHINE
    for name in sorted(names):
        if (name in a.attrs) != (name in b.attrs):
            yield f"{where}: attribute {name} is only in {'A' if name in a.attrs else 'B'}"
            continue
        x, y = plain(a.attrs[name]), plain(b.attrs[name])
        if not same_bits(x, y):
            yield f"{where}: attribute {name} is {x!r} in A and {y!r} in B"


def same_bits(x, y):
    """Equality that takes NaN as equal to itself and -0.0 as different from 0.0."""
    if isinstance(x, (np.ndarray, float)) and isinstance(y, (np.ndarray, float)):
        x, y = np.asarray(x), np.asarray(y)
        return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    return type(x) is type(y) and x == y


def dataset_difference(where, a, b):
    if a.dtype != b.dtype or a.shape != b.shape:
        yield f"{where}: {a.dtype} {list(a.shape)} in A and {b.dtype} {list(b.shape)} in B"
        return
    x, y = np.atleast_1d(a[()]), np.atleast_1d(b[()])
    if x.tobytes() != y.tobytes():
        unequal = x != y if x.dtype.kind == "O" else (
            x.view(np.uint8).reshape(*x.shape, -1) != y.view(np.uint8).reshape(*y.shape, -1)).any(-1)
        places = np.argwhere(unequal)
        if len(places):  # else text that is equal, kept at different addresses
            first = tuple(places[0])
            yield (f"{where}: differs first at {[int(i) for i in first]}: {x[first]!r} in A and {y[first]!r} in B "
                   f"({len(places)} of {x.size} values differ)")


def group_difference(where, a, b, counts):
    """Yields sentences about two groups and everything below; external links are followed by their files instead."""
    counts["groups"] += 1
    yield from attribute_difference(where or "/", a, b)
    for name in sorted(set(a) | set(b)):
        path = f"{where}/{name}" if where else name
        links = [g.get(name, getlink=True) for g in (a, b)]
        if None in links:
            yield f"{path}: is only in {'A' if links[1] is None else 'B'}"
        elif any(isinstance(link, h5py.ExternalLink) for link in links):
            continue
        elif isinstance(a[name], h5py.Dataset) != isinstance(b[name], h5py.Dataset):
            yield f"{path}: a dataset in one run and a group in the other"
        elif isinstance(a[name], h5py.Dataset):
            counts["datasets"] += 1
            yield from attribute_difference(path, a[name], b[name])
            yield from dataset_difference(path, a[name], b[name])
        else:
            yield from group_difference(path, a[name], b[name], counts)


def differences(run_a, run_b, counts):
    """Yields a sentence for every difference between two run folders, block files first."""
    runs = [Path(run_a), Path(run_b)]
    names = [{str(p.relative_to(run)) for p in (*run.glob("blocks/*.h5"), *run.glob("run.h5"))} for run in runs]
    for name in sorted(names[0] | names[1]):
        if name not in names[0] or name not in names[1]:
            yield f"{name}: is only in {'A' if name in names[0] else 'B'}"
            continue
        counts["files"] += 1
        with open_h5(runs[0] / name) as a, open_h5(runs[1] / name) as b:
            for run, file in zip(runs, (a, b)):
                check_schema(run / name, file.attrs.get("schema"))
            for sentence in group_difference("", a, b, counts):
                yield f"{name}: {sentence}"
