# SPDX-License-Identifier: Apache-2.0
"""The only reader of the result schema: run folders -> tidy pandas tables.

    layers = load(["runs/demo/gptq", "runs/demo/boa"])    one row per run, block and layer
    scores = load_evaluations(["runs/demo/gptq"])         one row per run and data set
    log = load_log("runs/demo/gptq")                      one row per event
    state = load_state("runs/demo/gptq")                  progress, as a dict

A run that is still going, or was broken off, gives the blocks that are finished.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # read-only here, and locks hang on some cluster file systems
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from analysis.errors import UserError  # noqa: E402

SCHEMAS = {1}


def open_h5(path):
    """An HDF5 file for reading; one sentence if it cannot be."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = "no such file" if not Path(path).exists() else f"not a readable HDF5 file ({error})"
        raise UserError(f"{path}: {reason}") from None


def check_schema(path, number):
    """Refuses a schema number that this reader does not know (None: the file carries none)."""
    if number is not None and int(number) not in SCHEMAS:
        raise UserError(f"{path}: schema {int(number)}, but this version of analysis reads only "
                        f"{', '.join(map(str, sorted(SCHEMAS)))}; use the one that belongs to the program that wrote it")


def attributes(item):
    """HDF5 attributes as plain Python values: str, int, float, bool, or an array."""
    return {name: plain(value) for name, value in item.attrs.items()}


def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [plain(v) for v in value.tolist()]
    return value


def find_runs(paths):
    """Run folders among and below the given paths, in the order given (below one: by name)."""
    found = []
    for path in map(Path, paths):
        if not path.is_dir():
            raise UserError(f"{path}: no such folder")
        runs = [path] if is_run(path) else sorted(p for p in path.rglob("*") if p.is_dir() and is_run(p))
        if not runs:
            raise UserError(f"{path}: holds no run (a run folder has run.h5 or blocks/*.h5)")
        found += [run for run in runs if run not in found]
    return found


def is_run(path):
    return (path / "run.h5").is_file() or any((path / "blocks").glob("*.h5"))


def load_run(run):
    """Attributes of run.h5 as a dict; empty while the run has not written it."""
    path = Path(run) / "run.h5"
    if not path.exists():
        return {}
    with open_h5(path) as file:
        values = attributes(file)
    if "schema" not in values:
        raise UserError(f"{path}: has no attribute 'schema': not a result of constrictor")
    check_schema(path, values["schema"])
    return values


def load(run_dirs):
    """One row per run, block and layer.

    Columns: `run` (folder name), `run_dir`, `block` (number), `layer` (name in the block), `kind` (last part of the
    name), all attributes of the layer under their own names, those of the block as `block.<name>` and of the run as
    `run.<name>` (both have `seconds_by_phase`, a dict here), and `relative_loss` = loss_after / loss_scale.
    """
    rows = []
    for run in find_runs(run_dirs):
        about_run = {f"run.{name}": value for name, value in with_phases(load_run(run)).items()}
        for path in sorted((run / "blocks").glob("*.h5")):
            with open_h5(path) as file:
                about_block = with_phases(attributes(file))
                check_schema(path, about_block.get("schema"))
                about_block = {f"block.{name}": value for name, value in about_block.items()}
                for layer, group in file.items():
                    if isinstance(group, h5py.Group):
                        rows.append({"run": run.name, "run_dir": str(run), "block": int(path.stem), "layer": layer,
                                     "kind": layer.rsplit(".", 1)[-1], **attributes(group), **about_block, **about_run})
    table = pd.DataFrame(rows)
    if {"loss_after", "loss_scale"} <= set(table.columns):
        table["relative_loss"] = table["loss_after"] / table["loss_scale"].where(table["loss_scale"] > 0)
    return table


def with_phases(values):
    """seconds_by_phase is stored as JSON text: phase -> seconds."""
    text = values.get("seconds_by_phase")
    return {**values, "seconds_by_phase": json.loads(text)} if isinstance(text, str) else values


def load_evaluations(run_dirs):
    """One row per run and data set: `run`, `run_dir`, `dataset` and the attributes of /evaluation/<dataset>."""
    rows = []
    for run in find_runs(run_dirs):
        if load_run(run):  # also checks the schema
            with open_h5(run / "run.h5") as file:
                rows += [{"run": run.name, "run_dir": str(run), "dataset": name, **attributes(group)}
                         for name, group in file.get("evaluation", {}).items()]
    return pd.DataFrame(rows, columns=None if rows else ["run", "run_dir", "dataset"])


def load_log(run):
    """log.jsonl, one row per event; a last line that is still being written is left out."""
    path, rows = Path(run) / "log.jsonl", []
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise UserError(f"{path}:{number}: not a JSON object") from None
    return pd.DataFrame(rows)


def load_state(run):
    """state.json: progress of the run; {} before there is any."""
    path = Path(run) / "state.json"
    try:
        state = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"{path}: not JSON") from None
    check_schema(path, state.get("schema"))
    return state
