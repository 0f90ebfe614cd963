# SPDX-License-Identifier: Apache-2.0
"""Pictures of whole runs: perplexity against bits, seconds by phase, seconds against ranks, and the demo's overview."""

import numpy as np

from analysis.errors import UserError
from analysis.plot_layers import layers_of, of_runs
from analysis.plot_runs import phrase, varying
from analysis.plot_style import COLOURS, MARKERS, kinds_in_order, legend_below, line_style, log_scale, panels, whole_ticks

PHASES = ["load", "statistics", "reduce", "factor", "solve", "advance", "write", "evaluation"]  # in the order of a block


def perplexities(results, rows, dataset):
    """Sets "perplexity" and "full" of rows that were scored on the data set; gives those."""
    name = results.dataset(dataset)
    scores = results.scores[results.scores["dataset"] == name].drop_duplicates("member").set_index("member")
    scored = [row for row in rows if row["member"] in scores.index]
    if not scored:
        raise UserError("none of these runs has a score yet, nothing to draw")
    for row in scored:
        row["perplexity"], row["full"] = scores.loc[row["member"], ["perplexity", "full_perplexity"]].astype(float)
    return name, scored


def full_line(panel, rows):
    """Full precision as a dashed line for every value of it."""
    for value in sorted({round(row["full"], 4) for row in rows if row["full"] == row["full"]}):
        panel.axhline(value, color="black", linewidth=1, linestyle="--", label=f"full precision {value:.2f}")


def draw_bits(results, rows, dataset=None):
    """Perplexity against bits: a line for all else in which the runs differ, through the best run at each width."""
    name, rows = perplexities(results, rows, dataset)
    summed = results.sweep.cell if results.sweep else {}
    axes = [axis for axis in varying(results, rows) if axis != "bits" and axis not in summed] or (results.axes or ["method"])[:1]
    lines = {}
    for row in rows:
        bits = str(row["bits"]).rstrip("*")
        if bits.isdigit():
            lines.setdefault(", ".join(phrase(axis, row[axis]) for axis in axes if axis != "bits") or "all", []).append((int(bits), row))
    if len({bits for found in lines.values() for bits, _ in found}) < 2:
        raise UserError("these runs have all the same bits, there is nothing to draw against bits")
    figure, ((panel,),) = panels(1, 1, 6.4, 4.2)
    for number, (label, found) in enumerate(lines.items()):
        best = {bits: min(r["perplexity"] for b, r in found if b == bits) for bits in sorted({b for b, _ in found})}
        panel.plot(list(best), list(best.values()), label=label, markersize=5, **line_style(number))
        others = [(b, r["perplexity"]) for b, r in found if r["perplexity"] != best[b]]
        panel.plot(*zip(*others), linestyle="", marker=".", color=COLOURS[number % len(COLOURS)], alpha=0.5) if others else None
    log_scale(panel.yaxis)
    full_line(panel, rows)
    whole_ticks(panel.xaxis, [b for found in lines.values() for b, _ in found])
    panel.set_xlabel("bits")
    panel.set_ylabel(f"perplexity on {name}")
    legend_below(figure, *panel.get_legend_handles_labels())
    return figure


def draw_phases(_, rows):
    """Seconds by phase, a bar a run."""
    rows = [row for row in rows if isinstance(row.get("seconds_by_phase"), dict)]
    if not rows:
        raise UserError("no seconds are on record in these runs, nothing to draw")
    known = {name for row in rows for name in row["seconds_by_phase"]}
    phases = [name for name in PHASES if name in known] + sorted(known - set(PHASES))
    figure, ((panel,),) = panels(1, 1, 8.0, 1.6 + 0.32 * len(rows))
    left = np.zeros(len(rows))
    for number, phase in enumerate(phases):
        seconds = np.array([row["seconds_by_phase"].get(phase, 0.0) for row in rows])
        panel.barh(range(len(rows)), seconds, left=left, height=0.68, label=phase, color=COLOURS[number % len(COLOURS)],
                   edgecolor="white", linewidth=0.6, hatch="" if number < len(COLOURS) else "//")
        left += seconds
    for place, total in enumerate(left):
        panel.annotate(f"{total:.1f}", (total, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    panel.set_yticks(range(len(rows)), [row["label"] for row in rows])
    panel.invert_yaxis()
    panel.margins(x=0.08)
    panel.set_xlabel("seconds")
    legend_below(figure, *panel.get_legend_handles_labels())
    return figure


def draw_scaling(results, rows):
    """Seconds of quantization against ranks, a line for runs that are the same but for the ranks."""
    rows = [row for row in rows if row.get("ranks") == row.get("ranks") and row.get("seconds")]
    lines = {}
    for row in rows:
        lines.setdefault(row["run_id"], []).append(row)
    lines = {key: sorted(found, key=lambda row: row["ranks"]) for key, found in lines.items()
             if len({row["ranks"] for row in found}) > 1}
    if not lines:
        raise UserError("scaling needs runs of one deck with different numbers of ranks (--run-dir keeps them apart)")
    figure, ((left, right),) = panels(1, 2, 4.6, 3.9)
    axes = [axis for axis in varying(results, [found[0] for found in lines.values()])] or ["method"]
    for number, found in enumerate(lines.values()):
        ranks, seconds = ([float(row[key]) for row in found] for key in ("ranks", "seconds"))
        label = ", ".join(phrase(axis, found[0][axis]) for axis in axes)
        left.plot(ranks, seconds, label=label, markersize=5, **line_style(number))
        left.plot(ranks, [seconds[0] * ranks[0] / r for r in ranks], color="0.6", linewidth=0.8, linestyle=":", zorder=0)
        right.plot(ranks, [100 * seconds[0] * ranks[0] / (r * s) for r, s in zip(ranks, seconds)], markersize=5, **line_style(number))
    for panel, title in ((left, "seconds of quantization (dotted: ideal)"), (right, "efficiency (%)")):
        panel.set_title(title, loc="left", fontsize=10)
        panel.set_xlabel("ranks")
        log_scale(panel.xaxis)
        whole_ticks(panel.xaxis, [row["ranks"] for found in lines.values() for row in found])
    log_scale(left.yaxis)
    right.set_ylim(0, max(105, right.get_ylim()[1]))
    legend_below(figure, *left.get_legend_handles_labels())
    return figure


def draw_overview(results, rows, dataset=None):
    """The demo's picture: perplexity of each run as bars, and the loss of every layer through the depth of the model."""
    layers = layers_of(rows)
    figure, ((left, right),) = panels(1, 2, 5.5, 4.4, width_ratios=[1, 2.1])
    name, scored = perplexities(results, rows, dataset)
    values = [row["perplexity"] for row in scored]
    finite = [v for v in values if np.isfinite(v)]
    places = [rows.index(row) for row in scored]
    bars = left.bar(places, np.nan_to_num(values, nan=0, posinf=max(finite, default=0)), width=0.62,
                    color=[COLOURS[p % len(COLOURS)] for p in places])
    left.bar_label(bars, [f"{v:.2f}" if v < 1000 else f"{v:.0f}" for v in values], padding=2)
    if finite and max(finite) > 20 * min(finite):
        log_scale(left.yaxis)
    full_line(left, scored)
    flat = sum(len(row["label"]) for row in rows) < 30
    left.set_xticks(range(len(rows)), [row["label"] for row in rows], rotation=0 if flat else 25, ha="center" if flat else "right")
    left.margins(y=0.12)
    full = ", ".join(line.get_label() for line in left.get_lines())
    left.set_title(f"Perplexity on {name}" + (f"\n(dashed: {full})" if full else ""), loc="left", fontsize=11)
    kinds, blocks, mine = kinds_in_order(layers), sorted(layers["block"].unique()), of_runs(layers, rows)
    place = {block: 0.8 * ((i + 0.5) / len(blocks) - 0.5) for i, block in enumerate(blocks)}
    for number, row in enumerate(rows):
        for slot, kind in enumerate(kinds):
            one = mine[row["run_dir"]]
            one = one[one["kind"] == kind]
            right.plot([slot + place[b] for b in one["block"]], one["relative_loss"], markersize=max(2, 5 - len(blocks) / 16),
                       **{**line_style(number), "marker": MARKERS[number % len(MARKERS)]})
    for slot in range(1, len(kinds)):
        right.axvline(slot - 0.5, color="0.85", linewidth=0.8)
    right.set_xlim(-0.5, len(kinds) - 0.5)
    log_scale(right.yaxis)
    right.set_xticks(range(len(kinds)), kinds, rotation=20)
    right.set_xlabel(f"kind of layer; in each, block {blocks[0]} to {blocks[-1]} from left to right")
    right.set_ylabel("loss / loss of all-zero weights\n(each method's own objective)")
    right.set_title("Relative loss of each layer", loc="left", fontsize=11)
    legend_below(figure, right.get_lines()[:len(rows) * len(kinds):len(kinds)], [row["label"] for row in rows])
    return figure
