# SPDX-License-Identifier: Apache-2.0
"""What people look at after runs:

    python -m analysis table  SOURCE ..            numbers, published ones beside them
    python -m analysis plot   WHAT SOURCE .. --out FIG.png
    python -m analysis diff   RUN RUN              where two runs part, and by how much
    python -m analysis report SOURCE .. --out REPORT.html

SOURCE is a sweep deck, a run folder, or a folder that holds some.
"""

import argparse
import importlib
import sys

from analysis.errors import Parser, call

COMMANDS = {"table": "numbers of runs or of a sweep", "plot": "pictures", "diff": "where two runs part, and by how much",
            "report": "one HTML file with tables, pictures and provenance"}


def main(arguments=None):
    parser = Parser(prog="python -m analysis", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, words in COMMANDS.items():
        modules[name] = importlib.import_module(f"analysis.{name}")
        modules[name].add_arguments(commands.add_parser(name, help=words, description=modules[name].__doc__,
                                                        formatter_class=argparse.RawDescriptionHelpFormatter))
    options = parser.parse_args(arguments)
    return modules[options.command].run(options)


def program():
    """The command `constrictor-analysis` of `pip install ./analysis`."""
    return call(main, "analysis")


if __name__ == "__main__":
    sys.exit(program())
