# SPDX-License-Identifier: Apache-2.0
"""Which run folder belongs to which member of a sweep.

The run id is a hash that only the program computes, so folders are known by the resolved deck that lies in each: a
member's run is the one whose deck has the value of every key that the sweep deck gives. Where several fit (their keys
differ that the sweep deck leaves to defaults), the plan that `constrictor sweep` left beside the runs says which.
"""

import json
import os
import re
from functools import lru_cache
from pathlib import Path

import yaml

from analysis.errors import UserError
from analysis.sweep_deck import need, text_of

# Where a result lies and how fast it came: never part of what a run is. Texts that are scored may be added later.
MACHINE = ("run.out", "run.device", "run.threads", "run.keep", "evaluation.")
LAYERS = "quant.layers."
VARIABLE = re.compile(r"\$\{(\w+)\}")


@lru_cache(maxsize=None)
def resolved_deck(text):
    """The tree of a resolved deck, all scalars as text. Parsed once, though it lies in deck.yaml and in run.h5."""
    try:
        tree = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError:
        return {}
    return tree if isinstance(tree, dict) else {}


def flat(tree, prefix=""):
    """{"quant.bits": "2", ...}; empty sections vanish."""
    values = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[prefix + key] = value
    return values


def normal(value):
    """One text for 0.1, 0.10 and 1e-1, and ${MODELS} as the environment has it."""
    text = VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), text_of(value) or "")
    try:
        return repr(float(text))
    except ValueError:
        return text


def identity(values):
    """What makes the run, as text; overrides of layers count as one value, for none of them is a value too."""
    found = {key: normal(value) for key, value in values.items() if not key.startswith((*MACHINE, LAYERS))}
    layers = {key: normal(value) for key, value in values.items() if key.startswith(LAYERS)}
    return {**found, "quant.layers": repr(sorted(layers.items()))}


def member_deck(sweep, member):
    """Every key that the sweep deck gives this member."""
    values = flat(sweep.base)
    for key, value in member.assignments.items():
        values = {k: v for k, v in values.items() if not k.startswith(key + ".")}
        values |= flat(value, key + ".") if isinstance(value, dict) else {key: value}
    return identity(values)


def run_folders(out):
    """{folder: what makes its run}, of all folders in `out` that have a deck."""
    folders = {}
    for path in sorted(Path(out).glob("*/deck.yaml")):
        if tree := resolved_deck(path.read_text(errors="replace")):
            folders[str(path.parent)] = identity(flat(tree))
    return folders


def planned_folders(sweep):
    """{labels: folder} of <out>/<sweep>.plan.json; empty without it or when it cannot be read."""
    path = sweep.out / f"{sweep.path.stem}.plan.json"
    try:
        plan = json.loads(path.read_text())
        need(plan["schema"] == 1, path, f"schema {plan['schema']}, but this version of analysis reads only 1")
        return {tuple(sorted(run["labels"].items())): str(sweep.out / Path(run["folder"]).name) for run in plan["runs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def find_folders(sweep):
    """Fills in `run_dir` of every member that has a folder."""
    if not sweep.out.is_dir():
        return sweep
    folders, planned, indexes = run_folders(sweep.out), planned_folders(sweep), {}
    for member in sweep.members:
        deck = member_deck(sweep, member)
        keys = tuple(sorted(deck))
        if keys not in indexes:  # one index a set of keys: members times folders would be slow
            indexes[keys] = {}
            for folder, found in folders.items():
                indexes[keys].setdefault(tuple(found.get(key) for key in keys), []).append(folder)
        fitting = indexes[keys].get(tuple(deck[key] for key in keys), [])
        plan = planned.get(tuple(sorted(member.labels.items())))
        if not fitting and plan in folders and any(VARIABLE.search(value) for value in deck.values()):
            fitting = [plan]  # ${MODELS} is not set here, so decks cannot be compared
        if len(fitting) > 1 and plan not in fitting:
            raise UserError(f"{sweep.path}: {len(fitting)} run folders fit {', '.join(map(' '.join, member.labels.items()))}: "
                            f"{', '.join(fitting)}; `constrictor plan` tells which is meant, move the others away")
        member.run_dir = plan if plan in fitting else next(iter(fitting), None)
    return sweep
