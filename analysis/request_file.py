# SPDX-License-Identifier: Apache-2.0
"""Writes a request file (`constrictor tasks --help` has the schema): equal content is always the same bytes."""

import dataclasses
import hashlib

import h5py
import numpy as np

from analysis import token_file

SCHEMA = 1
COLUMNS = ("context_length", "characters", "bytes", "task", "document", "choice", "gold")  # the order of the hash


@dataclasses.dataclass
class Request:
    """One continuation behind its context."""
    tokens: list  # both
    context_length: int
    characters: int  # of the choice's text
    bytes: int
    document: int
    choice: int
    gold: int
    truncated: bool


@dataclasses.dataclass
class Task:
    """What is asked of one task; `rule`: likeliest (multiple choice) or greedy (continuation to be hit)."""
    name: str
    rule: str
    acc_norm: bool
    version: str
    documents: int
    requests: list


def datasets_of(tasks):
    """All arrays of the file, by name."""
    requests = [(number, request) for number, task in enumerate(tasks) for request in task.requests]
    values = {name: np.asarray([number if name == "task" else getattr(request, name) for number, request in requests],
                               "<i4") for name in COLUMNS}
    lengths = [len(request.tokens) for _, request in requests]
    return {"tokens": np.asarray([t for _, request in requests for t in request.tokens], "<i4"),
            "offset": np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")} | values


def sha256_of(datasets, tasks):
    digest = hashlib.sha256()
    for name in ("tokens", "offset") + COLUMNS:
        digest.update(datasets[name].tobytes())
    for task in tasks:
        digest.update(f"{task.name}\n{task.rule}\n{int(task.acc_norm)}\n".encode())
    return digest.hexdigest()


def image(datasets, tasks, attributes):
    """The HDF5 file as bytes, made in memory."""
    with h5py.File("requests", "w", driver="core", backing_store=False, libver=("earliest", "v110")) as file:
        for name, values in datasets.items():
            packed = {"chunks": True, "shuffle": True, "compression": "gzip",
                      "compression_opts": 1} if values.nbytes > token_file.BIG else {}
            file.create_dataset(name, data=values, track_times=False, **packed)
        for number, task in enumerate(tasks):
            group = file.create_group(f"tasks/{task.name}")
            group.attrs.update({"number": np.int64(number), "rule": task.rule, "acc_norm": np.int64(task.acc_norm),
                                "version": task.version, "documents": np.int64(task.documents)})
        file.attrs.update(attributes)
        file.flush()
        return file.id.get_file_image()


def write(path, tasks, facts):
    """Writes tasks as one file and returns its attributes."""
    datasets = datasets_of(tasks)
    attributes = facts | {"schema": np.int64(SCHEMA), "requests_sha256": sha256_of(datasets, tasks),
                          "truncated": np.int64(sum(r.truncated for task in tasks for r in task.requests))}
    token_file.write(path, image(datasets, tasks, attributes))
    return attributes
