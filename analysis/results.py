# SPDX-License-Identifier: Apache-2.0
"""All about some runs as tidy tables:

    from analysis import load
    results = load("experiments/demo/int2_sweep.yaml")      # or run folders, or folders that hold some
    results.runs        one row per run: state, deck, machine, seconds, warnings, and a column per axis of the sweep
    results.scores      one row per run and data set: perplexity, full_perplexity, kl_to_full, top1_agreement
    results.layers      one row per run, block and layer: losses, damping, seconds (read when first asked for)
    results.blocks      one row per run and block: output_error_relative, output_cosine, peak_memory_bytes
    results.tasks       one row per run and zero-shot task: acc, acc_norm, their standard errors
    results.windows     one row per run, data set and window: nll, full_nll, kl

All but `runs` carry `run_dir` and the axes too, so that groupby("method") works on each of them.
"""

from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis import read_results
from analysis.errors import UserError
from analysis.run_facts import run_facts
from analysis.sweep_deck import load_sweep
from analysis.sweep_runs import find_folders

FIRST = ["run", "run_dir", "run_id", "state", "blocks_done", "blocks", "eta_seconds", "message", "warnings", "method", "bits",
         "group_size", "model", "ranks", "threads", "seconds", "seconds_by_phase", "zero_shot", "acc"]
RESERVED = {"member", "run", "run_dir", "run_id", "state", "message", "warnings", "seconds", "zero_shot", "acc", "value", "full", "label", "dataset",
            "perplexity", "block", "layer", "kind", "window"}  # what an axis cannot be called
SCORES = ["dataset", "perplexity", "full_perplexity", "kl_to_full", "top1_agreement", "windows", "length"]


class Results:
    """Tables of a list of run folders, or of a sweep; of the latter every member has a row in `runs`, started or not."""

    def __init__(self, run_dirs, sweep=None):
        self.sweep = sweep
        self.axes = [axis.label for axis in sweep.axes] if sweep else []
        if taken := RESERVED & set(self.axes):
            raise UserError(f"{sweep.path}: an axis cannot be called '{min(taken)}', that is a column of the tables; give it a label")
        members = [(m.run_dir, m.labels) for m in sweep.members] if sweep else [(str(run), {}) for run in run_dirs]
        runs, scores = [], []
        for number, (run_dir, labels) in enumerate(members):
            row, found = run_facts(run_dir) if run_dir else ({"state": "not started", "warnings": (), "message": ""}, [])
            runs.append({"member": number, **row, **labels})
            scores += [{"member": number, "run": row["run"], "run_dir": row["run_dir"], **labels, **one} for one in found]
        first = ["member", *self.axes, *FIRST]
        self.runs = reordered(pd.DataFrame(runs), first)
        self.scores = reordered(pd.DataFrame(scores), ["member", *self.axes, "run", "run_dir", *SCORES])

    @property
    def run_dirs(self):
        """Folders that hold something readable, in order."""
        there = self.runs[self.runs["run_dir"].notna() & ~self.runs["state"].isin(["unreadable"])]
        return list(there["run_dir"])

    def with_axes(self, table):
        return table.merge(self.runs[["run_dir", *self.axes]], on="run_dir", how="left") if self.axes else table

    @cached_property
    def layers(self):
        return self.with_axes(read_results.load_layers(self.run_dirs))

    @cached_property
    def blocks(self):
        return self.with_axes(read_results.load_blocks(self.run_dirs))

    @cached_property
    def windows(self):
        return self.with_axes(read_results.load_windows(self.run_dirs))

    @cached_property
    def tasks(self):
        return self.with_axes(read_results.load_tasks(self.run_dirs))

    def dataset(self, name=None):
        """The data set that tables and pictures show: the one asked for, else the first that there is."""
        names = list(dict.fromkeys(self.scores["dataset"].dropna()))
        if name is not None and name not in names:
            raise UserError(f"no run was scored on '{name}'; there is {', '.join(names) or 'no score yet'}")
        return name or next(iter(names), None)


def reordered(table, first):
    """The columns in `first` always, in that order; then what else there is."""
    rest = [column for column in table if column not in first]
    return table.reindex(columns=list(dict.fromkeys(first)) + rest)


def load(*sources):
    """Results of one sweep deck (a .yaml file), or of run folders and folders that hold some."""
    paths = [Path(source) for source in sources]
    decks = [path for path in paths if path.suffix in (".yaml", ".yml")]
    if decks and len(paths) > 1:
        raise UserError(f"{decks[0]}: a sweep deck stands alone; give it without other runs")
    if decks:
        return Results([], find_folders(load_sweep(decks[0])))
    return Results(read_results.find_runs(paths))
