# SPDX-License-Identifier: Apache-2.0
"""`python -m analysis table`: a line per run, or the cells of a sweep with published numbers beside them."""

from pathlib import Path

from analysis import cells
from analysis.errors import FileSystemError, UserError
from analysis.published import published_beside
from analysis.results import load
from analysis.run_table import run_table, summary
from analysis.sweep_table import member_frame, sweep_table
from analysis.text_table import PRINTERS, TextTable, comma_separated


def add_arguments(parser):
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="a sweep deck (.yaml), or run folders and folders of runs")
    parser.add_argument("--format", choices=("markdown", "latex", "csv", "html"), default="markdown",
                        help="csv: a line per run, nothing rounded or summed up")
    parser.add_argument("--value", metavar="WORD", help="of a sweep: " + ", ".join(cells.METRICS) + " (default: as its deck says)")
    parser.add_argument("--dataset", metavar="NAME", help="text that was scored (default: the first)")
    parser.add_argument("--all", action="store_true", help="a line for every run of a sweep instead of best-of and mean cells")
    parser.add_argument("--published", metavar="FILE", help="published.yaml to compare with, or none (default: beside the sweep deck)")
    parser.add_argument("--out", metavar="FILE", help="write there instead of on the screen")


def table_text(options):
    results = load(*options.sources)
    if results.sweep is None:
        if options.value or options.published or options.all:
            raise UserError("--value, --published and --all are for a sweep deck")
        if options.format == "csv":
            return summary(results, options.dataset).to_csv(index=False).rstrip("\n")
        return PRINTERS[options.format](run_table(results, options.dataset))
    if options.format == "csv":
        metric, dataset = cells.metric_and_dataset(options.value or results.sweep.table["value"])
        header, *rows = member_frame(results, metric, results.dataset(options.dataset or (dataset if len(results.scores) else None)))
        return comma_separated(TextTable(header, rows))
    published = published_beside(results.sweep.path, options.published)
    return PRINTERS[options.format](sweep_table(results, published, options.value, options.dataset, options.all))


def write_text(path, text):
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text + "\n")
    except OSError as error:
        raise FileSystemError(f"{path}: cannot be written: {error.strerror or error}") from None


def run(options):
    text = table_text(options)
    if options.out:
        write_text(options.out, text)
        print(options.out)
    else:
        print(text)
