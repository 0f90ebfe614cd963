# SPDX-License-Identifier: Apache-2.0
"""`python -m analysis plot WHAT SOURCE .. --out FIG.png`: one picture, or all that the runs have data for.

    overview   perplexity of each run, and the loss of every layer through the depth of the model
    layers     loss of each layer over blocks, method against method
    growth     how the error grows through the network
    rows       heat map of one run: which rows of each weight carry the loss (columns: which columns changed most)
    bits       perplexity against bits
    phases     seconds by phase
    scaling    seconds and efficiency against ranks
    all        every one of these, into the folder --out
"""

from pathlib import Path

from analysis.errors import FileSystemError, UserError
from analysis.results import load

# name -> (runs at most, does it take a data set)
PICTURES = {"overview": (8, True), "layers": (8, False), "growth": (8, False), "rows": (1, False), "columns": (1, False),
            "bits": (None, True), "phases": (40, False), "scaling": (None, False)}


def add_arguments(parser):
    parser.add_argument("what", choices=(*PICTURES, "all"), metavar="WHAT", help=", ".join((*PICTURES, "all")))
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="a sweep deck (.yaml), or run folders and folders of runs")
    parser.add_argument("--only", action="append", default=[], metavar="AXIS=NAME", help="only these runs, for example bits=2; may be repeated")
    parser.add_argument("--dataset", metavar="NAME", help="text that was scored (default: the first)")
    parser.add_argument("--out", required=True, metavar="FIG.png", help="picture to write: .png, .pdf or .svg (all: a folder)")


def draw(what, results, only=(), dataset=None, rows=None):
    """(figure, how many runs it shows); `rows` instead of a choice: as plot_runs.shown_runs gives them."""
    from analysis import plot_layers, plot_runs, plot_scores  # matplotlib is slow to load, and tables do without
    most, scored = PICTURES[what]
    rows = rows or plot_runs.shown_runs(results, only, most, best=what not in ("bits", "scaling"))
    if what in ("rows", "columns"):
        return plot_layers.draw_errors(rows, what[:-1]), 1
    function = getattr(plot_scores if hasattr(plot_scores, f"draw_{what}") else plot_layers, f"draw_{what}")
    return function(results, rows, **({"dataset": dataset} if scored else {})), len(rows)


def save(figure, path):
    from matplotlib import pyplot
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160)
    except OSError as error:
        raise FileSystemError(f"{path}: cannot be written: {error.strerror or error}") from None
    pyplot.close(figure)


def run(options):
    results = load(*options.sources)
    if options.what == "all":
        return draw_all(results, options)
    if Path(options.out).suffix not in (".png", ".pdf", ".svg"):
        raise UserError(f"{options.out}: a picture is .png, .pdf or .svg")
    figure, count = draw(options.what, results, options.only, options.dataset)
    save(figure, options.out)
    print(f"{options.out}: {count} run{'s' * (count != 1)}")
    return 0


def draw_all(results, options):
    """Pictures that these runs have no data for are named with the reason."""
    drawn = 0
    for what in PICTURES:
        try:
            figure, count = draw(what, results, options.only, options.dataset)
        except UserError as error:
            print(f"{what}: not drawn: {error}")
            continue
        path = Path(options.out) / f"{what}.png"
        save(figure, path)
        print(f"{path}: {count} run{'s' * (count != 1)}")
        drawn += 1
    return 0 if drawn else 2
