# SPDX-License-Identifier: Apache-2.0
"""Prints one line per run: method, bits, perplexity before and after, KL, top-1 agreement, seconds.

    python -m analysis.tables RUN [RUN ..] [--format markdown|latex|csv]
"""

import argparse
import sys

import pandas as pd

from analysis.errors import call
from analysis.read_results import find_runs, load, load_evaluations

COLUMNS = {  # column of the summary -> (title, format)
    "name": ("run", "{}"), "method": ("method", "{}"), "bits": ("bits", "{}"), "group_size": ("group", "{}"),
    "dataset": ("data set", "{}"), "full_perplexity": ("full precision", "{:.2f}"),
    "perplexity": ("quantized", "{:.2f}"), "kl_to_full": ("KL (nats)", "{:.3f}"),
    "top1_agreement": ("top-1 (%)", "{:.1%}"), "seconds": ("seconds", "{:.1f}"), "note": ("note", "{}"),
}


def one_or_all(values):
    """The one value, or all of them: "2" and "2+4"."""
    return "+".join(str(v) for v in sorted(set(values.dropna()), key=str))


def seconds(phases):
    """Seconds of quantization: all phases of the run but those that evaluate."""
    return sum(v for name, v in phases.items() if not name.startswith("eval")) if isinstance(phases, dict) else None


def note(layers, state):
    """What a reader must know beside the number: an unfinished run, fallbacks, layers that got worse."""
    parts = [] if state in (None, "done", "finished", "complete") else [str(state)]
    if "method_used" in layers and (fell_back := (layers["method_used"] != layers["method"]).sum()):
        parts.append(f"{fell_back} of {len(layers)} layers by {one_or_all(layers['method_used'])}")
    if "loss_rounding" in layers and (worse := (layers["loss_after"] > layers["loss_rounding"]).sum()):
        parts.append(f"{worse} layers worse than rounding")
    return ", ".join(parts)


def summary(run_dirs):
    """One row per run and data set: `run_dir` and the columns of COLUMNS (numbers, not text)."""
    runs = find_runs(run_dirs)
    layers, scores = load(runs), load_evaluations(runs)
    rows = []
    for run in runs:
        mine = layers[layers["run_dir"] == str(run)] if len(layers) else layers
        first = mine.iloc[0] if len(mine) else {}
        about = {"run_dir": str(run), "name": run.name, "note": note(mine, first.get("run.state")),
                 "seconds": seconds(first.get("run.seconds_by_phase"))}
        about |= {key: one_or_all(mine[key]) for key in ("method", "bits", "group_size") if key in mine}
        evaluations = scores[scores["run_dir"] == str(run)].to_dict("records") or [{}]
        rows += [{**{k: e.get(k) for k in COLUMNS}, **about} for e in evaluations]
    return pd.DataFrame(rows, columns=["run_dir", *COLUMNS])


def texts(table):
    """Header and rows as text; columns that say nothing are left out."""
    silent = [c for c in COLUMNS if all(v is None or v != v or v == "" for v in table[c])]
    silent += ["name"] if (table["name"] == table["method"]).all() else []
    silent += ["dataset"] if table["dataset"].nunique() <= 1 else []
    silent += ["group_size"] if (table["group_size"] == "0").all() else []
    shown = [c for c in COLUMNS if c not in silent]
    cells = [["" if v is None or pd.isna(v) else COLUMNS[c][1].format(v).removesuffix("%")
              for c, v in zip(shown, row)] for row in table[shown].itertuples(index=False)]
    return [COLUMNS[c][0] for c in shown], cells


def text_columns(rows):
    """True for each column that holds words: it is set flush left."""
    return [not any(cell.replace(".", "").isdigit() for cell in column) for column in zip(*rows)]


def markdown(header, rows):
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    left = text_columns(rows)

    def line(cells):
        return "| " + " | ".join(c.ljust(w) if s else c.rjust(w) for c, w, s in zip(cells, widths, left)) + " |"

    rule = "|" + "|".join("-" * (w + 2) if s else "-" * (w + 1) + ":" for w, s in zip(widths, left)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def latex(header, rows):
    def escape(cell):
        return "".join("\\" + c if c in "%_&#$" else c for c in cell)

    left = text_columns(rows)
    lines = [" & ".join(map(escape, cells)) + r" \\" for cells in (header, *rows)]
    return "\n".join([r"\begin{tabular}{" + "".join("l" if s else "r" for s in left) + "}", r"\toprule", lines[0],
                      r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}"])


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m analysis.tables", description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or a folder that holds some")
    parser.add_argument("--format", choices=("markdown", "latex", "csv"), default="markdown")
    options = parser.parse_args(arguments)
    table = summary(options.runs)
    if options.format == "csv":  # all columns, all digits
        print(table.to_csv(index=False), end="")
    else:
        print({"markdown": markdown, "latex": latex}[options.format](*texts(table)))


if __name__ == "__main__":
    sys.exit(call(main, "analysis.tables"))
