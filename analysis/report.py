# SPDX-License-Identifier: Apache-2.0
"""`python -m analysis report SOURCE .. --out REPORT.html`: one file that can be mailed: tables, pictures, warnings, and
where every number comes from. Nothing in it is loaded from elsewhere."""

import base64
import html
import io
from datetime import datetime, timezone

from analysis import __version__, cells
from analysis.errors import UserError
from analysis.plot import PICTURES, draw
from analysis.published import published_beside
from analysis.results import load
from analysis.run_table import run_table
from analysis.sweep_table import chosen_words, sweep_table
from analysis.table import write_text
from analysis.text_table import TextTable, html_table

STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:1080px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #ccc}
table{border-collapse:collapse;margin:1em 0;font-size:.92em;display:block;overflow-x:auto}
caption{text-align:left;padding-bottom:.5em;color:#444}th,td{padding:.2em .8em;text-align:left;border-bottom:1px solid #e4e4e4;
vertical-align:top}th{border-bottom:2px solid #888}.number{text-align:right;font-variant-numeric:tabular-nums}
.notes{font-size:.85em;color:#333}img{max-width:100%}figcaption{color:#444;font-size:.9em}figure{margin:1.5em 0}
pre{background:#f6f6f6;padding:.8em;overflow-x:auto;font-size:.85em}"""
CAPTIONS = {
    "overview": "Perplexity of each run, and the relative loss of every layer.",
    "layers": "Loss of each layer over blocks. Objectives of GPTQ and BoA differ for query and key layers.",
    "growth": "How far the output of each block is from that of the full-precision model on the calibration tokens.",
    "rows": "Where the loss lies: rows of each weight. 1 = as bad as an all-zero row of average weight.",
    "columns": "Where the weights changed: columns of each weight.",
    "bits": "Perplexity against bits; small dots: members of a cell that are not the best.",
    "phases": "Seconds by phase.", "scaling": "Seconds and efficiency against ranks.",
}
MOST_PICTURES = 6  # of one kind
FACTS = ["run_id", "state", "started", "finished", "ranks", "threads", "device", "hosts", "version", "git_sha", "compiler",
         "libraries", "products", "reduction", "model_sha256", "tokens_sha256"]


def add_arguments(parser):
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="a sweep deck (.yaml), or run folders and folders of runs")
    parser.add_argument("--out", required=True, metavar="REPORT.html", help="file to write")
    parser.add_argument("--dataset", metavar="NAME", help="text that was scored (default: the first)")
    parser.add_argument("--published", metavar="FILE", help="published.yaml to compare with, or none (default: beside the sweep deck)")
    parser.add_argument("--title", help="heading of the report")


def picture(figure, words):
    from matplotlib import pyplot
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    pyplot.close(figure)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<figure><img alt="{html.escape(words)}" src="data:image/png;base64,{encoded}"><figcaption>{html.escape(words)}</figcaption></figure>'


def picture_sets(results, what):
    """Lists of rows, one a picture: of a sweep with too many runs for one, a picture for each label of its first column
    axis (where those are few), and of those the first that fit; heat maps show the last run only."""
    from analysis.plot_runs import name_runs, shown_runs
    most = PICTURES[what][0]
    rows = shown_runs(results, best=what not in ("bits", "scaling"))
    if most is None or len(rows) <= most:
        return [rows]
    if most == 1:
        return [rows[-1:]]
    axis = (results.sweep.table["columns"] or results.sweep.table["rows"])[0] if results.sweep else None
    groups = {}
    for row in rows:
        groups.setdefault(row[axis] if axis else None, []).append(row)
    groups = [group[:most] for group in groups.values()] if len(groups) <= MOST_PICTURES else [rows[:most]]
    for group in groups:
        name_runs(results, group)
    return groups


def pictures(results, dataset):
    parts = []
    for what in PICTURES:
        try:
            for rows in picture_sets(results, what):
                words = CAPTIONS[what]
                if results.sweep and len(rows) < len(results.run_dirs) and what not in ("bits", "scaling"):
                    words += f" {len(rows)} of {len(results.run_dirs)} runs: {'; '.join(row['label'] for row in rows)}."
                parts.append(picture(draw(what, results, dataset=dataset, rows=rows)[0], words))
        except UserError as error:
            parts.append(f"<p>{what}: not drawn: {html.escape(str(error))}.</p>")
    return parts


def provenance(results):
    """What all runs share as one table, what differs as another, the resolved deck of the first run."""
    there = results.runs[results.runs["run_dir"].notna()]
    facts = [fact for fact in FACTS if fact in there]
    shared = [fact for fact in facts if there[fact].astype(str).nunique() == 1]
    rows = [[fact, fact_text(there[fact].iloc[0])] for fact in shared]
    parts = [html_table(TextTable(["of all runs", ""], rows, words_only=True))] if rows else []
    differing = [fact for fact in facts if fact not in shared]
    if differing:
        rows = [[row["run_dir"], *(fact_text(row[fact])[:20] for fact in differing)] for row in there.to_dict("records")]
        parts.append("<details><summary>of each run</summary>"
                     + html_table(TextTable(["folder", *differing], rows, words_only=True)) + "</details>")
    from analysis.read_results import load_run
    if results.run_dirs:
        deck = load_run(results.run_dirs[0]).get("deck", "")
        parts.append(f"<details><summary>resolved deck of {html.escape(results.run_dirs[0])}</summary><pre>{html.escape(deck)}</pre></details>")
    if results.sweep:
        deck = results.sweep.path.read_text()
        parts.append(f"<details><summary>sweep deck {html.escape(str(results.sweep.path))}</summary><pre>{html.escape(deck)}</pre></details>")
    return parts


def fact_text(value):
    """A number of ranks is whole, though a run without one makes the column floating-point."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def warnings(results):
    parts = []
    for row in results.runs.to_dict("records"):
        if row["warnings"] or row["message"]:
            words = [f"{row['state']}: {row['message']}"] * bool(row["message"]) + list(row["warnings"])
            items = "".join(f"<li>{html.escape(w)}</li>" for w in words)
            parts.append(f"<details><summary>{html.escape(str(row['run_dir']))}: {len(words)}</summary><ul>{items}</ul></details>")
    return parts or ["<p>None: no fallback, no raised damping, no loss above that of plain rounding.</p>"]


def tables(results, published, dataset):
    if results.sweep is None:
        return [html_table(run_table(results, dataset))]
    parts = [html_table(sweep_table(results, published, dataset=dataset))]
    shown = cells.metric_and_dataset(results.sweep.table["value"])[0]
    for metric in ("kl", "minutes"):
        if metric != shown:
            parts.append(html_table(sweep_table(results, published, metric, dataset)))
    if results.sweep.cell:
        parts.append("<details><summary>every run</summary>" + html_table(sweep_table(results, published, dataset=dataset, all_members=True))
                     + "</details>")
    about = [[key, chosen_words(value) if isinstance(value, dict) else str(value)] for key, value in published.about.items()]
    return parts + ([html_table(TextTable(["published numbers", ""], about, words_only=True))] if about else [])


def run(options):
    results = load(*options.sources)
    published = published_beside(results.sweep and results.sweep.path, options.published)
    title = options.title or published.about.get("title") or ", ".join(options.sources)
    made = f"Made {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC by constrictor analysis {__version__} from {', '.join(options.sources)}."
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(made)}</p>", "<h2>Numbers</h2>", *tables(results, published, options.dataset),
            "<h2>Warnings</h2>", *warnings(results), "<h2>Pictures</h2>", *pictures(results, options.dataset),
            "<h2>Provenance</h2>", *provenance(results)]
    write_text(options.out, f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
               f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>")
    print(f"{options.out}: {len(results.runs)} runs")
    return 0
