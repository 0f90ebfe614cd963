# SPDX-License-Identifier: Apache-2.0
"""Writes a token file: the same content is always the same bytes, and a file with its final name is complete."""

import os
from pathlib import Path

import h5py

from analysis.errors import FileSystemError

SCHEMA = 1
BIG = 1 << 20  # bytes; larger datasets are chunked, shuffled and deflated


def image(datasets, attributes):
    """The HDF5 file as bytes, made in memory: no time stamps, no locking, and a full disk is met by `write` alone."""
    with h5py.File("tokens", "w", driver="core", backing_store=False, libver=("earliest", "v110")) as file:
        for name, values in datasets.items():
            packed = {"chunks": (1,) + values.shape[1:], "shuffle": True, "compression": "gzip",
                      "compression_opts": 1} if values.nbytes > BIG and values.ndim > 1 else {}
            file.create_dataset(name, data=values, dtype=values.dtype.newbyteorder("<"), track_times=False, **packed)
        for name, value in attributes.items():
            file.attrs[name] = value
        file.flush()
        return file.id.get_file_image()


def write(path, data):
    """`<path>.partial`, fsync, rename."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise FileSystemError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        try:
            partial.unlink(missing_ok=True)
        except OSError:
            pass  # nothing of ours is there: the folder itself cannot be reached
