# SPDX-License-Identifier: Apache-2.0
"""Pictures of what happens inside a model: losses of layers, growth of the error, rows and columns that carry it."""

import math

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter

from analysis.errors import UserError
from analysis.plot_style import kinds_in_order, legend_below, line_style, log_scale, panels, whole_ticks
from analysis.read_results import load_blocks, load_errors, load_layers

MOST_BINS = 256  # rows or columns side by side in a heat map


def layers_of(rows):
    """The layers of these runs only: a sweep may have a thousand others."""
    layers = load_layers([row["run_dir"] for row in rows])
    if "relative_loss" not in layers:
        raise UserError("no loss of any layer is on record in these runs")
    return layers


def of_runs(table, rows):
    return {row["run_dir"]: table[table["run_dir"] == row["run_dir"]].sort_values("block") for row in rows}


def draw_layers(_, rows):
    """One panel a kind of layer, in it one line a run: relative loss over blocks."""
    layers = layers_of(rows)
    kinds, mine = kinds_in_order(layers), of_runs(layers, rows)
    columns = min(4, len(kinds))
    figure, axes = panels(math.ceil(len(kinds) / columns), columns, 3.4, 2.7, sharex=True)
    for panel, kind in zip(axes.flat, kinds):
        for number, row in enumerate(rows):
            one = mine[row["run_dir"]]
            one = one[one["kind"] == kind]
            panel.plot(one["block"], one["relative_loss"], markersize=max(2, 4.5 - len(one) / 16), **line_style(number))
        panel.set_title(kind, loc="left", fontsize=10)
        log_scale(panel.yaxis)
        whole_ticks(panel.xaxis, layers["block"])
    for panel in axes.flat[len(kinds):]:
        panel.set_visible(False)
    for column in range(columns):
        last = max(i for i in range(len(kinds)) if i % columns == column)
        axes.flat[last].set_xlabel("block")
        axes.flat[last].tick_params(labelbottom=True)
    # GPTQ weighs the rows of q and k alike, BoA by the attention: there the curves are not one measure.
    figure.supylabel("loss / loss of all-zero weights, each method's own objective", fontsize=10)
    legend_below(figure, axes.flat[0].get_lines(), [row["label"] for row in rows])
    return figure


def draw_growth(_, rows):
    """How far the output of each block is from full precision: the squared distance, relative, and the cosine."""
    blocks = load_blocks([row["run_dir"] for row in rows])
    if "output_error_relative" not in blocks:
        raise UserError("no output error of any block is on record in these runs")
    mine = of_runs(blocks, rows)
    figure, ((left, right),) = panels(1, 2, 5.0, 3.8)
    for number, row in enumerate(rows):
        one = mine[row["run_dir"]]
        left.plot(one["block"], one["output_error_relative"], markersize=4, **line_style(number))
        right.plot(one["block"], 1 - one["output_cosine"], markersize=4, **line_style(number))
    for panel, title in ((left, "squared error of a block's output / squared output"), (right, "1 - cosine of outputs")):
        panel.set_title(title, loc="left", fontsize=10)
        panel.set_xlabel("block")
        log_scale(panel.yaxis)
        whole_ticks(panel.xaxis, blocks["block"])
    legend_below(figure, left.get_lines(), [row["label"] for row in rows])
    return figure


def binned(values, bins):
    """Means of neighbours, so that 8192 rows fit on a page."""
    edges = np.linspace(0, len(values), min(bins, len(values)) + 1).astype(int)
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def draw_errors(rows, which):
    """Heat maps, one panel a kind of layer: rows (or columns) of the weight from left to right, blocks downwards."""
    (row,) = rows
    errors = load_errors(row["run_dir"], which)
    if not errors:
        raise UserError(f"{row['run_dir']}: no error of any {which} is on record")
    mine = layers_of(rows)
    kinds, blocks = kinds_in_order(mine), sorted(mine["block"].unique())
    positive = np.concatenate([values[values > 0] for values in errors.values()])
    if not len(positive):
        raise UserError(f"{row['run_dir']}: every {which} has error zero, nothing to draw")
    low, high = np.quantile(positive, [0.01, 0.999])
    scale = LogNorm(low, high) if which == "row" else Normalize(0, high)
    columns = min(4, len(kinds))
    figure, axes = panels(math.ceil(len(kinds) / columns), columns, 3.6, 1.5 + 0.045 * min(len(blocks), 32))
    for panel, kind in zip(axes.flat, kinds):
        found = {block: values for (block, layer), values in errors.items() if layer.rsplit(".", 1)[-1] == kind}
        picture = np.array([binned(found[block], MOST_BINS) if block in found else np.full(1, np.nan) for block in blocks])
        image = panel.imshow(np.maximum(picture, scale.vmin), aspect="auto", norm=scale, cmap="viridis", interpolation="nearest",
                             extent=(0, len(next(iter(found.values()))), len(blocks) - 0.5, -0.5))
        panel.set_title(kind, loc="left", fontsize=10)
        panel.set_xlabel(which, fontsize=9)
        step = max(1, -(-len(blocks) // 8))
        panel.set_yticks(range(0, len(blocks), step), blocks[::step])
    for panel in axes.flat[len(kinds):]:
        panel.set_visible(False)
    figure.supylabel("block", fontsize=10)
    words = {"row": "relative loss", "column": "norm of Q - W / mean"}
    figure.colorbar(image, ax=axes, location="right", label=words[which], shrink=0.9, format=FuncFormatter(lambda x, _: f"{x:g}"))
    figure.suptitle(f"Error of each {which}: {row['label']}", x=0.02, ha="left", fontsize=11)
    return figure
