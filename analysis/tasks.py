# SPDX-License-Identifier: Apache-2.0
"""Turns zero-shot tasks into request files, by the code of lm-evaluation-harness (`constrictor tasks build`)."""

import argparse
import sys
from pathlib import Path

from analysis import __version__
from analysis.errors import Parser, UserError, call

PAPER = ("piqa", "hellaswag", "arc_easy", "arc_challenge", "winogrande", "lambada_openai", "lambada_standard",
         "openbookqa", "boolq")
PIP_LINE = "python3 -m venv lm-eval && lm-eval/bin/pip install torch transformers lm-eval h5py"
HELP = f"""Needs lm-evaluation-harness, which no other command does:
  {PIP_LINE}
  CONSTRICTOR_PYTHON=lm-eval/bin/python constrictor tasks build ...

data (nothing is downloaded, --data says where it lies):
  --data piqa=validation.jsonl     JSON lines, JSON or Parquet: the documents of the split that the task evaluates
  --data piqa=FOLDER               files of that split, as in a copy of the hub's repository: validation.jsonl,
                                   validation-00000-of-00001.parquet, also in a folder named like the data set's part
  --data FOLDER                    FOLDER/<task>, .jsonl, .json or .parquet, for every task
Without --data the harness looks for what `datasets` has in its own cache, or for what the task's YAML names.

tasks: names of the harness with multiple choices or one continuation to be hit (loglikelihood), no shots;
  paper = {', '.join(PAPER)}:
  the eight of the TurboBoA paper, where the two lambada count once.

examples:
  constrictor tasks build --tokenizer models/Llama-3.2-1B --tasks paper --data data/zero_shot --out tasks/llama3
  constrictor tasks build --tokenizer models/Llama-3.2-1B --tasks mine --yaml mine.yaml --data mine=mine.jsonl \\
      --out tasks/mine.requests.h5
  mpirun -np 4 constrictor evaluate RUN --requests tasks/llama3/*.requests.h5

request file (*.requests.h5), schema 1:
  /tokens int32, /offset int64 [requests + 1]    context, then continuation, of all requests one after the other
  /context_length int32 [requests]               tokens of the context; what stands behind them is scored
  /characters, /bytes int32 [requests]           of the choice's text; acc_norm divides by the characters
  /task, /document, /choice, /gold int32         number of task, document, choice; the document's right choice
  /tasks/<name>                                  attributes number, rule (likeliest | greedy), acc_norm, version
  attributes of /                                schema, vocab_size, tokenizer_sha256, requests_sha256, truncated,
                                                 max_length, harness, created_by
The harness splits context and continuation in the tokens of the whole text, with spaces at the end of the context
moved to the continuation; what exceeds --max-length loses its begin.

exit codes: 0 done, 2 bad input, 5 a file cannot be written. The same inputs give the same bytes."""


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


positive.__name__ = "positive whole number"


def parse(arguments):
    parser = Parser(prog="constrictor tasks", description=__doc__, epilog=HELP,
                    formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="build", required=True, parser_class=Parser)
    build = commands.add_parser("build", description=__doc__, epilog=HELP, allow_abbrev=False,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    build.add_argument("--tokenizer", required=True, metavar="FOLDER", help="model folder (weights are not read)")
    build.add_argument("--tasks", required=True, nargs="+", metavar="NAME", help="tasks, or paper; see below")
    build.add_argument("--data", nargs="+", default=[], metavar="[NAME=]PATH", help="where documents lie, see below")
    build.add_argument("--yaml", nargs="+", default=[], metavar="FILE", help="task files of your own")
    build.add_argument("--out", required=True, metavar="PATH",
                       help="one file *.h5 with all tasks, or a folder for <task>.requests.h5")
    build.add_argument("--limit", type=positive, metavar="N", help="the first N documents of every task only")
    build.add_argument("--max-length", type=positive, metavar="N",
                       help="tokens that the model reads at most (max_position_embeddings of config.json)")
    return parser.parse_args(arguments)


def data_of_tasks(arguments, tasks):
    """{task: path} of --data; the key None stands for a folder with all."""
    places = {}
    for word in arguments:
        name, equals, path = word.partition("=")
        name, path = (name, path) if equals else (None, word)
        if name is not None and name not in tasks:
            raise UserError(f"--data {word}: '{name}' is not among --tasks ({', '.join(tasks)})")
        if name in places:
            raise UserError(f"--data {word}: given twice")
        if not Path(path).exists():
            raise UserError(f"--data {word}: {path} does not exist")
        places[name] = Path(path)
    return places


def main(arguments=None):
    options = parse(arguments)
    tasks = list(dict.fromkeys(t for name in options.tasks for t in (PAPER if name == "paper" else (name,))))
    places = data_of_tasks(options.data, tasks)
    from analysis import request_file
    from analysis.harness import built_tasks
    built, facts = built_tasks(options, tasks, places, PIP_LINE)
    facts["created_by"] = f"constrictor tasks {__version__}"
    out = Path(options.out)
    files = [(out, built)] if out.suffix == ".h5" else [(out / f"{t.name}.requests.h5", [t]) for t in built]
    for path, some in files:
        attributes = request_file.write(path, some, facts)
        requests, documents = sum(len(t.requests) for t in some), sum(t.documents for t in some)
        print(f"{path}: {requests} requests of {documents} documents of {', '.join(t.name for t in some)}; "
              f"requests_sha256 {attributes['requests_sha256'][:12]}")
        if attributes["truncated"]:
            print(f"constrictor tasks: warning: {path}: {attributes['truncated']} requests are longer than "
                  f"{facts['max_length']} tokens and lost the begin of their context", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(call(main, "constrictor tasks"))
