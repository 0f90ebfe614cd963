# SPDX-License-Identifier: Apache-2.0
"""The only reader of the result schema: run folders -> plain dicts and tidy pandas tables.

    load_run("runs/demo/gptq")           what run.h5 says, as a dict
    load_scores(["runs/demo/gptq"])      one row per run and data set
    load_layers(["runs/demo/gptq"])      one row per run, block and layer
    load_windows(["runs/demo/gptq"])     one row per run, data set and window
    load_errors("runs/demo/gptq", "row") one array per block and layer
    load_log("runs/demo/gptq")           one row per event
    load_state("runs/demo/gptq")         progress, as a dict

A run that is still going, or was broken off, gives the blocks that are finished. `analysis.load` joins all of it.
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
    found = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise UserError(f"{path}: no such folder")
        runs = list(runs_below(path))
        if not runs:
            raise UserError(f"{path}: holds no run (a run folder has run.h5 or blocks/*.h5)")
        found |= dict.fromkeys(runs)
    return list(found)


def runs_below(path):
    """A run folder holds no others: its own folders are not searched, which is what makes a thousand of them quick."""
    if is_run(path):
        yield path
        return
    for folder in sorted(entry.name for entry in os.scandir(path) if entry.is_dir()):
        yield from runs_below(path / folder)


def is_run(path):
    return (path / "run.h5").is_file() or any((path / "blocks").glob("*.h5"))


def load_run(run):
    """Attributes of run.h5 as a dict; empty while the run has not written it."""
    path = Path(run) / "run.h5"
    if not path.exists():
        return {}
    with open_h5(path) as file:
        return checked_run(path, attributes(file))


def checked_run(path, values):
    if "schema" not in values:
        raise UserError(f"{path}: has no attribute 'schema': not a result of constrictor")
    check_schema(path, values["schema"])
    return values


def load_layers(run_dirs):
    """One row per run, block and layer.

    Columns: `run` (folder name), `run_dir`, `block` (number), `layer` (name in the block), `kind` (last part of the
    name), all attributes of the layer under their own names, those of the block as `block.<name>` and of the run as
    `run.<name>` (both have `seconds_by_phase`, a dict here), `relative_loss` = loss_after / loss_scale, and
    `loss_by_stage`, a dict like {"0 solver": L, "1 refine": L, "2 polish": L}.
    """
    rows = []
    for run in find_runs(run_dirs):
        about_run = {f"run.{name}": value for name, value in with_phases(load_run(run)).items()}
        for path, file in block_files(run):
            about_block = {f"block.{name}": value for name, value in with_phases(attributes(file)).items()}
            for layer, group in file.items():
                if isinstance(group, h5py.Group):
                    rows.append({"run": run.name, "run_dir": str(run), "block": int(path.stem), "layer": layer,
                                 "kind": layer.rsplit(".", 1)[-1], **attributes(group), **stages(group), **about_block, **about_run})
    table = pd.DataFrame(rows, columns=None if rows else ["run", "run_dir", "block", "layer", "kind"])
    if {"loss_after", "loss_scale"} <= set(table.columns):
        table["relative_loss"] = table["loss_after"] / table["loss_scale"].where(table["loss_scale"] > 0)
    return table


def stages(group):
    """Losses after the solver and every stage that followed; nothing in results of the first version."""
    if "error/loss_by_stage" not in group:
        return {}
    names = str(group.attrs["stages"]).split()
    losses = group["error/loss_by_stage"][()]
    return {"loss_by_stage": {f"{i} {name}": float(loss) for i, (name, loss) in enumerate(zip(names, losses))}}


def block_files(run):
    """Yields (path, open file) of every finished block, in order."""
    for path in sorted((Path(run) / "blocks").glob("*.h5")):
        with open_h5(path) as file:
            check_schema(path, file.attrs.get("schema"))
            yield path, file


def load_blocks(run_dirs):
    """One row per run and block: `run`, `run_dir`, `block` and the attributes of the block's file."""
    rows = [{"run": run.name, "run_dir": str(run), **with_phases(attributes(file)), "block": int(path.stem)}
            for run in find_runs(run_dirs) for path, file in block_files(run)]
    return pd.DataFrame(rows, columns=None if rows else ["run", "run_dir", "block"])


def load_errors(run, which):
    """{(block, layer): array}: `which` = "row", share of every row in the loss divided by its even share of
    loss_scale (so that 1 is as bad as an all-zero row of average weight), or "column", the norms of the columns of
    Q - W divided by their mean in the layer."""
    found = {}
    for path, file in block_files(run):
        for layer, group in file.items():
            name = {"row": "error/row_loss", "column": "error/column_energy"}[which]
            if not isinstance(group, h5py.Group) or name not in group:
                continue
            values = group[name][()].astype(np.float64)
            even = float(group.attrs.get("loss_scale", 0)) / len(values) if which == "row" else values.mean()
            found[int(path.stem), layer] = values / even if even > 0 else np.full(len(values), np.nan)
    return found


def with_phases(values):
    """seconds_by_phase is stored as JSON text: phase -> seconds."""
    text = values.get("seconds_by_phase")
    return {**values, "seconds_by_phase": json.loads(text)} if isinstance(text, str) else values


def load_scores(run_dirs):
    """One row per run and data set: `run`, `run_dir`, `dataset` and the attributes of /evaluation/<dataset>."""
    rows = []
    for run in find_runs(run_dirs):
        rows += [{"run": run.name, "run_dir": str(run), **scores} for scores in load_run_and_scores(run)[1]]
    return pd.DataFrame(rows, columns=None if rows else ["run", "run_dir", "dataset"])


def load_run_and_scores(run):
    """(attributes of run.h5, list of score dicts) from one opening of the file; ({}, []) while there is none."""
    path = Path(run) / "run.h5"
    if not path.exists():
        return {}, []
    with open_h5(path) as file:
        values = checked_run(path, attributes(file))
        return values, [{**attributes(group), "dataset": name} for name, group in file.get("evaluation", {}).items()]


def load_windows(run_dirs):
    """One row per run, data set and window: `run`, `run_dir`, `dataset`, `window` and what is stored a window
    (`nll`, `full_nll`: mean cross-entropy in nats; `kl`)."""
    tables = []
    for run in find_runs(run_dirs):
        if load_run(run):  # also checks the schema
            with open_h5(run / "run.h5") as file:
                for name, group in file.get("evaluation", {}).items():
                    values = {key: item[()] for key, item in group.items() if isinstance(item, h5py.Dataset)}
                    table = pd.DataFrame(values).rename_axis("window").reset_index()
                    tables.append(table.assign(run=run.name, run_dir=str(run), dataset=name))
    first = ["run", "run_dir", "dataset", "window"]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=first)
    return table[first + [column for column in table if column not in first]]


def load_tasks(run_dirs):
    """One row per run, request file and zero-shot task: `run`, `run_dir`, `requests`, `task`, `documents`, `acc`,
    `acc_stderr` and, where the task has it, `acc_norm`, `acc_norm_stderr`."""
    first = ["run", "run_dir", "requests", "task", "documents", "acc", "acc_stderr", "acc_norm", "acc_norm_stderr"]
    rows = []
    for run in find_runs(run_dirs):
        rows += [{"run": run.name, "run_dir": str(run), **row} for row in task_rows(run)]
    return pd.DataFrame(rows, columns=first)


def task_rows(run):
    """The accuracies of one run's requests/*.h5, a dict per task; files that are not finished are left out."""
    rows = []
    for path in sorted((Path(run) / "requests").glob("*.h5")):
        if path.stem.endswith(".unfinished"):
            continue
        with open_h5(path) as file:
            rows += [{"requests": path.stem, "task": name} | {key: value.item() for key, value in task.attrs.items()}
                     for name, task in file.get("tasks", {}).items()]
    return rows


def zero_shot_averages(rows):
    """{"zero_shot", "acc"}: means over tasks, the former of acc_norm where a task has it (the protocol of the TurboBoA
    paper); lambada_openai and lambada_standard count as one task. {} without tasks."""
    def mean(values):
        names = {name: "lambada" if name in ("lambada_openai", "lambada_standard") else name for name in values}
        groups = [[v for name, v in values.items() if names[name] == one] for one in dict.fromkeys(names.values())]
        return sum(sum(group) / len(group) for group in groups) / len(groups)
    return {"zero_shot": mean({row["task"]: row.get("acc_norm", row["acc"]) for row in rows}),
            "acc": mean({row["task"]: row["acc"] for row in rows})} if rows else {}


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
    """state.json: progress of the run; {} before there is any (a stale network cache shows an empty file)."""
    path = Path(run) / "state.json"
    try:
        state = json.loads(path.read_text() or "{}")
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"{path}: not JSON") from None
    check_schema(path, state.get("schema"))
    return state
