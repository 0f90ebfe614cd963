# SPDX-License-Identifier: Apache-2.0
"""`python -m analysis diff A B`: keys of the decks that differ, the first block and layer that differ and by how much,
block by block how far the runs are apart, their scores. Exit code 0: the same bits, 1: different.

What the machine decides (seconds, ranks, hosts, versions) does not count."""

import math
from pathlib import Path

import h5py
import numpy as np

from analysis.compare_runs import differences, same_bits
from analysis.errors import UserError
from analysis.read_results import attributes, block_files, find_runs, load_run, load_scores
from analysis.sweep_runs import flat, resolved_deck
from analysis.text_table import TextTable, markdown


def add_arguments(parser):
    parser.add_argument("a", metavar="A", help="run folder")
    parser.add_argument("b", metavar="B", help="run folder")
    parser.add_argument("--all", action="store_true", help="every value that differs, not only the first")


def deck_differences(run_a, run_b):
    """["quant.bits: 2 in A, 3 in B", ..] of the resolved decks; folders and machine settings too, they may be the reason."""
    a, b = (flat(resolved_deck(load_run(run).get("deck", ""))) for run in (run_a, run_b))
    return [f"{key}: {a.get(key, 'not there')} in A, {b.get(key, 'not there')} in B"
            for key in dict.fromkeys((*a, *b)) if a.get(key) != b.get(key)]


def dequantized(group):
    """Q = s (C - z) of a layer, [out x in] float64; None where codes are packed or missing."""
    if not {"codes", "scale", "zero"} <= set(group) or group.attrs.get("codes_packed", False):
        return None
    codes, scale, zero = (group[name][()].astype(np.float64) for name in ("codes", "scale", "zero"))
    per = codes.shape[1] // scale.shape[1]
    return np.repeat(scale, per, axis=1) * (codes - np.repeat(zero, per, axis=1))


def layer_difference(a, b):
    """How two quantized layers differ, in words; "" when codes, scales and zeros hold the same bits."""
    parts = []
    both = [name for name in ("codes", "scale", "zero") if name in a and name in b]
    for name in both:
        x, y = a[name][()], b[name][()]
        if x.shape != y.shape:
            return f"{name} is {list(x.shape)} in A and {list(y.shape)} in B"
        unequal = x != y if x.dtype == y.dtype else np.ones(x.shape, bool)
        if not same_bits(x, y):
            parts.append(f"{np.count_nonzero(unequal)} of {x.size} {name} ({100 * np.mean(unequal):.2g} %)")
    if not parts:
        return ""
    weights = [dequantized(group) for group in (a, b)]
    if weights[0] is not None and weights[1] is not None and np.any(weights[0]):
        distance = np.linalg.norm(weights[0] - weights[1]) / np.linalg.norm(weights[0])
        parts.append(f"|Q_A - Q_B| / |Q_A| = {distance:.3g}")
    losses = [float(group.attrs.get("loss_after", math.nan)) for group in (a, b)]
    return ", ".join(parts) + f", loss {losses[0]:.6g} in A, {losses[1]:.6g} in B"


def walk(run_a, run_b):
    """(words about the first layer that differs or None, rows of the table of blocks)"""
    first, rows = None, []
    for (path, a), (other, b) in zip(block_files(run_a), block_files(run_b)):
        if path.stem != other.stem:
            raise UserError(f"{run_a} and {run_b}: not the same blocks are finished: {path.stem} and {other.stem}")
        layers = [name for name in sorted(set(a) & set(b), key=lambda n: (int(a[n].attrs.get("position", 0)), n))
                  if isinstance(a[name], h5py.Group) and isinstance(b[name], h5py.Group)]
        differing = {name: words for name in layers if (words := layer_difference(a[name], b[name]))}
        if differing and first is None:
            name, words = next(iter(differing.items()))
            first = f"block {int(path.stem)}, {name}: {words}"
        errors = [attributes(file).get("output_error_relative") for file in (a, b)]
        rows.append([str(int(path.stem)), f"{len(differing)} of {len(layers)}",
                     *("" if error is None else f"{error:.4g}" for error in errors)])
    return first, rows


def score_rows(run_a, run_b):
    scores = [load_scores([run]).set_index("dataset").to_dict("index") for run in (run_a, run_b)]
    for name in [name for name in scores[0] if name in scores[1]]:
        for key in ("perplexity", "kl_to_full", "top1_agreement"):
            if key in scores[0][name] and key in scores[1][name]:
                a, b = (float(score[name][key]) for score in scores)
                yield [f"{name}: {key}", f"{a:.6g}", f"{b:.6g}", f"{b - a:+.3g}"]


def run(options):
    for folder in (options.a, options.b):
        if find_runs([folder]) != [Path(folder)]:
            raise UserError(f"{folder}: holds several runs, one is needed")
    for words in deck_differences(options.a, options.b):
        print(f"deck: {words}")
    counts, found = dict.fromkeys(("files", "groups", "datasets"), 0), []
    for sentence in differences(options.a, options.b, counts):
        found.append(sentence)
        if not options.all:
            break
    if not found:
        print(f"equal: {counts['files']} files, {counts['groups']} groups, {counts['datasets']} datasets")
        return 0
    first, blocks = walk(options.a, options.b)
    print(f"first layer that differs: {first}" if first else "codes, scales and zeros are equal in all blocks that both have")
    print(f"{'every' if options.all else 'first'} value that differs:", *found, sep="\n  ")
    if blocks:
        print("", markdown(TextTable(["block", "layers that differ", "output error A", "output error B"], blocks)), sep="\n")
    if scores := list(score_rows(options.a, options.b)):
        print("", markdown(TextTable(["score", "A", "B", "B - A"], scores)), sep="\n")
    return 1
