#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times whole runs of `constrictor quantize` beside the published PyTorch code on two cores of the same kind.

usage: whole_runs.py [--program build/constrictor] [--ranks 1] [--repeat 3] [--only demo|small|wide]

Seconds are those of the whole process, start to exit; evaluation is off, as in the published numbers. The models
"small" and "wide" have random weights, which the times do not depend on.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).resolve().parent))
from random_model import Shape, write_model, write_tokens  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "experiments" / "demo"
WORK = ROOT / "build" / "bench"


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    published: dict  # method -> seconds of the published code, INT2, two cores
    aim: dict        # method -> seconds
    sequences: int
    length: int
    shape: Shape | None = None  # None: the demo model


SMALL = Shape(hidden=256, blocks=6, heads=8, kv_heads=4, head_dim=32, feed_forward=704, vocabulary=2048)
WIDE = Shape(hidden=1024, blocks=2, heads=16, kv_heads=8, head_dim=64, feed_forward=2816, vocabulary=4096)
CASES = [
    Case("demo", "demo model, 1.1 million parameters", {"turboboa": 20.4, "boa": 26.0}, {"turboboa": 2.0, "boa": 2.6}, 64, 256),
    Case("small", "hidden 256, 6 blocks, 5.5 million parameters", {"turboboa": 46, "boa": 57}, {"turboboa": 4.6, "boa": 5.7},
         64, 256, SMALL),
    Case("wide", "hidden 1024, 2 blocks", {"turboboa": 154}, {"turboboa": 8.0}, 16, 512, WIDE),
]
PHASES = ["load", "statistics", "reduce", "factor", "solve", "advance", "write"]


def inputs_of(case, program):
    """(model folder, token file), made when they are missing."""
    if case.shape:
        model = WORK / case.name
        if not (model / "config.json").exists():
            write_model(model, case.shape)
        return model, write_tokens(WORK / f"{case.name}.tokens.h5", case.sequences, case.length, case.shape.vocabulary)
    tokens = WORK / "demo.tokens.h5"
    if not tokens.exists():
        subprocess.run([program, "tokens", "--tokenizer", DEMO / "model", "--text", DEMO / "text" / "calibration.txt.xz",
                        "--sampler", "wikitext2-train", "--seed", "0", "--sequences", "128", "--length", "256", "--out", tokens],
                       check=True, stdout=subprocess.DEVNULL)
    return DEMO / "model", tokens


def quantize(program, case, method, ranks, folder):
    """One run from scratch -> seconds of the process, and seconds by phase."""
    model, tokens = inputs_of(case, program)
    deck = WORK / f"{case.name}.yaml"
    deck.write_text(f"model: {{path: {model}}}\ncalibration: {{tokens: {tokens}, sequences: {case.sequences}}}\n"
                    "quant: {bits: 2}\nevaluation: {tokens: []}\n")
    subprocess.run(["rm", "-rf", folder], check=True)
    launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks > 1 else []
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    start = time.monotonic()
    subprocess.run([*launcher, program, "quantize", deck, "--set", f"quant.method={method}", "--run-dir", folder], check=True,
                   stdout=subprocess.DEVNULL, env=environment)
    seconds = time.monotonic() - start
    with h5py.File(folder / "run.h5") as run:
        phases = json.loads(run.attrs["seconds_by_phase"])
    return seconds, phases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build" / "constrictor", type=Path)
    parser.add_argument("--ranks", default=1, type=int)
    parser.add_argument("--repeat", default=3, type=int, help="the median counts")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)

    print(f"whole runs at 2 bits on {options.ranks} rank{'s' if options.ranks > 1 else ''}, median of {options.repeat}; seconds")
    names = ["model", "method", *PHASES, "process", "published", "ratio", "aim", ""]
    rows = []
    for case in CASES:
        if options.only not in (None, case.name):
            continue
        for method in ("turboboa", "boa"):
            runs = [quantize(options.program, case, method, options.ranks, WORK / "runs" / case.name) for _ in range(options.repeat)]
            seconds = statistics.median(run[0] for run in runs)
            phases = [statistics.median(run[1].get(phase, 0) for run in runs) for phase in PHASES]
            published, aim = case.published.get(method), case.aim.get(method)
            verdict = "" if aim is None else "met" if seconds <= aim else "missed"
            rows.append([case.name, method, *(f"{value:.2f}" for value in phases), f"{seconds:.2f}", f"{published or '-'}",
                         f"{published / seconds:.1f}" if published else "-", f"{aim or '-'}", verdict])
    widths = [max(len(row[i]) for row in [names, *rows]) for i in range(len(names))]
    for row in [names, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) if i < 2 or i == len(row) - 1 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
    for case in CASES:
        print(f"  {case.name}: {case.what}, {case.sequences} x {case.length} tokens")


if __name__ == "__main__":
    sys.exit(main())
