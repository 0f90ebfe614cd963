# SPDX-License-Identifier: Apache-2.0
"""How all pictures look: colours that colour-blind readers tell apart, a marker a line besides, names that fit."""

import matplotlib

matplotlib.use("Agg")  # no display on a cluster
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#999933"]  # Okabe and Ito, no yellow
MARKERS = "osD^vP*X"
MOST_LINES = len(COLOURS)
# Layers in the order of a block's data flow, Llama and OPT; unknown names come last.
FLOW = ["q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "gate_proj", "up_proj", "down_proj", "fc1", "fc2"]


def panels(rows, columns, width=5.2, height=3.4, **more):
    """Figure and its axes [rows][columns], without frames at the top and the right."""
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained", squeeze=False, **more)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def line_style(number):
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "linewidth": 1.2}


def legend_below(figure, handles, labels, **more):
    """One legend for all panels, below them, where it hides no data."""
    longest = max(map(len, labels), default=0)
    columns = max(1, min(len(labels), int(figure.get_figwidth() * 12 // (longest + 6))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, **more)


def log_scale(axis):
    """Logarithmic, with plain numbers at 1, 2 and 5 of each decade where they fit, and no powers of ten."""
    axes = axis.axes
    axes.set_yscale("log") if axis.axis_name == "y" else axes.set_xscale("log")
    low, high = axes.get_ylim() if axis.axis_name == "y" else axes.get_xlim()
    minor = "2345678" if high < 3 * low else "235" if high < 12 * low else "25" if high < 60 * low else ""
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in minor else "") if minor else NullFormatter())


def kinds_in_order(layers):
    """Kinds of layers as data flows through a block."""
    kinds = list(dict.fromkeys(layers["kind"]))
    return sorted(kinds, key=lambda kind: FLOW.index(kind) if kind in FLOW else len(FLOW))


def whole_ticks(axis, values):
    """At most about ten whole numbers, each of which occurs."""
    values = sorted(set(values))
    step = max(1, -(-len(values) // 10))
    axis.set_ticks(values[::step], [f"{value:g}" for value in values[::step]])
    axis.set_minor_locator(matplotlib.ticker.NullLocator())
