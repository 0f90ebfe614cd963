# SPDX-License-Identifier: Apache-2.0
"""Which runs a picture shows, and what they are called in it."""

from analysis import cells
from analysis.errors import UserError


def shown_runs(results, only=(), most=None, best=True):
    """Rows of Results.runs (dicts) with "label", of runs that have a finished block; of a sweep's best-of cells the best.

    `only`: texts "AXIS=NAME". More than `most` runs are refused with what could be chosen."""
    rows = [row for row in results.runs.to_dict("records") if row["run_dir"] in results.run_dirs]
    if best and results.sweep and results.sweep.cell and results.dataset():
        found = cells.cells_of(results, "perplexity", results.dataset(), results.sweep.cell)
        kept = {member["member"] for cell in found if cell.best for member in cell.best.members[:1]}
        rows = [row for row in rows if row["member"] in kept]
    for choice in only:
        name, _, value = choice.partition("=")
        if not value or name not in results.runs:
            axes = results.axes or ["method", "bits", "group_size"]
            raise UserError(f"--only {choice}: AXIS=NAME expected, with an axis out of {', '.join(axes)}")
        rows = [row for row in rows if str(row[name]) == value]
    if not rows:
        raise UserError("no finished block in these runs, nothing to draw" if not only else
                        f"--only {' --only '.join(only)}: leaves no run with a finished block")
    name_runs(results, rows)
    if most and len(rows) > most:
        axes = varying(results, rows)
        choices = "; ".join(f"{axis}: {', '.join(dict.fromkeys(str(row[axis]) for row in rows))}" for axis in axes)
        raise UserError(f"{len(rows)} runs are too many for this picture ({most} at most); choose with --only AXIS=NAME "
                        f"({choices or 'or give fewer runs'})")
    return rows


def varying(results, rows):
    """Axes (without a sweep: method, bits, group size, model) in which these runs differ."""
    axes = results.axes or ["model", "method", "bits", "group_size"]
    return [axis for axis in axes if len({row[axis] for row in rows}) > 1]


def name_runs(results, rows):
    """Sets "label": what tells a run from the others, as short as it can be. Axes that cells sum up come in only where
    without them two runs have one name, and folders only where the axes do not tell."""
    axes = varying(results, rows)
    told = [axis for axis in axes if not results.sweep or axis not in results.sweep.cell]
    for chosen in (told, axes):
        for row in rows:
            row["label"] = label(row, chosen or (results.axes or ["method"])[:1])
        if len({row["label"] for row in rows}) == len(rows):
            return
    for mark in ("{run}", "#{number}"):  # folders of one name may lie in two places
        labels = [row["label"] for row in rows]
        for number, row in enumerate(rows, 1):
            row["label"] += f" ({mark.format(run=row['run'], number=number)})" if labels.count(row["label"]) > 1 else ""


def label(row, axes):
    """"TurboBoA, 2 bits"; a word that several axes have is told with its axis: "row order original"."""
    values = [str(row[axis]) for axis in axes]
    return ", ".join(phrase(axis, value) if values.count(value) == 1 or value[:1].isdigit() else f"{axis} {value}"
                     for axis, value in zip(axes, values))


def phrase(axis, value):
    """"TurboBoA", "2 bits", "N 16": a bare number is told with what it counts."""
    text = "?" if value is None or str(value) == "nan" else str(value)
    if axis == "bits":
        return f"{text} bits"
    axis = {"group_size": "groups of"}.get(axis, axis)
    return f"{axis} {text}" if text[:1].isdigit() else text
