# SPDX-License-Identifier: Apache-2.0
"""Draws runs side by side: perplexity per run, and the loss of every layer through the depth of the model.

    python -m analysis.plots RUN [RUN ..] --out FIG.png
"""

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np

from analysis.errors import FileSystemError, UserError, call
from analysis.read_results import find_runs, load
from analysis.tables import summary

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000"]  # Okabe and Ito
MARKERS = "osD^vP*X"
ABOVE = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.99), "ncols": 4, "frameon": False}  # where it hides no data


def labels(table):
    """One short name a run: the method, with what tells runs of one method apart."""
    for form in ("{method}", "{method} {bits} bits", "{method} {bits} bits, groups of {group_size}", "{method} {name}"):
        names = [form.format(**row) for row in table.to_dict("records")]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({i + 1})" for i, name in enumerate(table["name"])]


def draw_perplexity(axes, table, names):
    """Bars with their numbers, full precision as a line; logarithmic when a run is far off."""
    values = table["perplexity"].astype(float).to_numpy()
    finite = values[np.isfinite(values)]
    bars = axes.bar(range(len(values)), np.nan_to_num(values, nan=0, posinf=finite.max() if len(finite) else 0), width=0.62,
                    color=[COLOURS[i % len(COLOURS)] for i in range(len(values))])
    axes.bar_label(bars, [f"{v:.2f}" if v < 1000 else f"{v:.0f}" for v in values], padding=2)
    full = table["full_perplexity"].astype(float).dropna()
    if len(full):
        axes.axhline(full.iloc[0], color="black", linewidth=1, linestyle="--", label=f"full precision {full.iloc[0]:.2f}")
        axes.legend(**ABOVE)
    if len(finite) and finite.max() > 20 * finite.min():
        axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names, rotation=0 if sum(map(len, names)) < 40 else 20)
    axes.margins(y=0.12)
    axes.set_title("Perplexity", loc="left")


def draw_losses(axes, layers, runs, names):
    """One slot a kind of layer, in it one curve a run from the first block (left) to the last (right)."""
    kinds = list(dict.fromkeys(layers.sort_values(["block", "order"])["kind"]))
    blocks = sorted(layers["block"].unique())
    place = {block: (i + 0.5) / len(blocks) - 0.5 for i, block in enumerate(blocks)}
    for i, (run, name) in enumerate(zip(runs, names)):
        for slot, kind in enumerate(kinds):
            mine = layers[(layers["run_dir"] == run) & (layers["kind"] == kind)].sort_values("block")
            axes.plot([slot + 0.8 * place[b] for b in mine["block"]], mine["relative_loss"], color=COLOURS[i % len(COLOURS)],
                      marker=MARKERS[i % len(MARKERS)], markersize=max(2, 5 - len(blocks) / 16), linewidth=1,
                      label=name if slot == 0 else None)
    for slot in range(1, len(kinds)):
        axes.axvline(slot - 0.5, color="0.85", linewidth=0.8)
    axes.set_xlim(-0.5, len(kinds) - 0.5)
    axes.set_yscale("log")
    axes.set_xticks(range(len(kinds)), kinds, rotation=20)
    axes.set_xlabel(f"kind of layer; in each, block {blocks[0]} to {blocks[-1]} from left to right")
    # GPTQ weighs the rows of q and k alike, BoA by the attention: there the curves are not one measure.
    axes.set_ylabel("loss / loss of all-zero weights\n(each method's own objective)")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "235" else "")
    axes.set_title("Relative loss of each layer", loc="left")
    axes.legend(**ABOVE)


# Layers in the order of a block's data flow, Llama and OPT; unknown names come last.
FLOW = ["q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "gate_proj", "up_proj", "down_proj", "fc1", "fc2"]


def draw(run_dirs):
    """The figure, and how many runs it shows."""
    matplotlib.use("Agg")  # no display on a cluster
    from matplotlib import pyplot as plt
    runs = [str(run) for run in find_runs(run_dirs)]
    table = summary(runs)
    dataset = next(iter(table["dataset"].dropna()), None)  # one of several is drawn; the table has them all
    table = table[table["dataset"].isna() | (table["dataset"] == dataset)].drop_duplicates("run_dir")
    table = table.set_index("run_dir").reindex(runs)
    layers = load(runs)
    if not len(layers) or "relative_loss" not in layers:
        raise UserError("no finished block in these runs, nothing to draw")
    layers["order"] = [FLOW.index(kind) if kind in FLOW else len(FLOW) for kind in layers["kind"]]
    names = labels(table)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=[1, 2.1], layout="constrained")
    draw_perplexity(left, table, names)
    draw_losses(right, layers, runs, names)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure, len(runs)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m analysis.plots", description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or a folder that holds some")
    parser.add_argument("--out", required=True, metavar="FIG.png", help="picture to write: .png, .pdf or .svg")
    options = parser.parse_args(arguments)
    if Path(options.out).suffix not in (".png", ".pdf", ".svg"):
        raise UserError(f"{options.out}: a picture is .png, .pdf or .svg")
    figure, count = draw(options.runs)
    try:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.out, dpi=160)
    except OSError as error:
        raise FileSystemError(f"{options.out}: cannot be written: {error.strerror or error}") from None
    print(f"{options.out}: {count} runs")


if __name__ == "__main__":
    sys.exit(call(main, "analysis.plots"))
