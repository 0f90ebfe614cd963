# SPDX-License-Identifier: Apache-2.0
"""Cells of a sweep's table: all runs that differ only in axes under `cell:` (best | mean), summed up in one number."""

import math
import statistics
from dataclasses import dataclass

from analysis.errors import UserError

# name -> (title, column of scores or runs, factor, format, what is best)
METRICS = {
    "perplexity": ("perplexity", "perplexity", 1, "{:.2f}", min),
    "kl": ("KL (nats)", "kl_to_full", 1, "{:.3f}", min),
    "top1": ("top-1 (%)", "top1_agreement", 100, "{:.1f}", max),
    "zero_shot": ("zero-shot (%)", "zero_shot", 100, "{:.2f}", max),  # acc_norm where a task has it, else acc
    "acc": ("zero-shot acc (%)", "acc", 100, "{:.2f}", max),
    "seconds": ("seconds", "seconds", 1, "{:.1f}", min),
    "minutes": ("minutes", "seconds", 1 / 60, "{:.2f}", min),
}


@dataclass
class Group:
    """Runs that differ only in axes that are averaged."""

    labels: dict
    members: list  # rows of Results.runs as dicts, with "value": the metric, nan when there is none
    value: float = math.nan
    deviation: float = math.nan  # of the sample; nan below two runs

    def done(self):
        return [member for member in self.members if not math.isnan(member["value"])]


@dataclass
class Cell:
    labels: dict  # axes that are not summed up
    groups: list  # one a choice of the axes under "best"
    best: Group | None = None  # of those that have a number

    @property
    def members(self):
        return [member for group in self.groups for member in group.members]


def metric_and_dataset(words):
    """`table.value` of a sweep deck: a metric, a data set, or "<data set>.<metric>"."""
    dataset, _, metric = (words or "perplexity").rpartition(".")
    if metric in METRICS:
        return metric, dataset or None
    if dataset:
        raise UserError(f"value {words}: {metric} is none of {', '.join(METRICS)}")
    return "perplexity", metric


def member_rows(results, metric, dataset):
    """Rows of Results.runs as dicts, in order, with "value" and, where known, "full" (its full-precision perplexity)."""
    _, column, factor, _, _ = METRICS[metric]
    scores = results.scores[results.scores["dataset"] == dataset] if dataset else results.scores
    scores = scores.drop_duplicates("member").set_index("member").to_dict("index") if len(scores) else {}
    rows = []
    for row in results.runs.to_dict("records"):
        score = scores.get(row["member"], {})
        source = row if column in ("seconds", "zero_shot", "acc") else score
        value = source.get(column) if row["state"] == "done" else None
        rows.append({**row, "value": number(value) * factor, "full": number(score.get("full_perplexity"))})
    return rows


def number(value):
    return float(value) if value is not None else math.nan


def cells_of(results, metric, dataset, summed):
    """All cells of a sweep, in the order of its axes; a cell without any finished run is there too. `summed`: axis ->
    best | mean, usually that of the sweep deck; {} gives every run a cell of its own."""
    kept = [axis for axis in results.axes if axis not in summed]
    choices = [axis for axis, how in summed.items() if how == "best"]
    best_of = METRICS[metric][4]
    cells = {}
    for row in member_rows(results, metric, dataset):
        groups = cells.setdefault(tuple(row[axis] for axis in kept), {})
        groups.setdefault(tuple(row[axis] for axis in choices), []).append(row)
    found = []
    for names, groups in cells.items():
        cell = Cell(dict(zip(kept, names)), [Group(dict(zip(choices, chosen)), rows) for chosen, rows in groups.items()])
        for group in cell.groups:
            values = [member["value"] for member in group.done()]
            if values:
                group.value = statistics.fmean(values)
                group.deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        finished = [group for group in cell.groups if not math.isnan(group.value)]
        cell.best = best_of(finished, key=lambda group: group.value) if finished else None
        found.append(cell)
    return found


def text(metric, value):
    """The number as tables show it; large perplexities without decimals."""
    if value is None or math.isnan(value):
        return ""
    if metric == "perplexity" and abs(value) >= 1000:
        return f"{value:.0f}" if value < 1e6 else f"{value:.2g}"
    return METRICS[metric][3].format(value)
