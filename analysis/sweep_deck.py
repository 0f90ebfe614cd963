# SPDX-License-Identifier: Apache-2.0
"""A sweep deck, as `constrictor plan` reads it: one run for every combination of the axes.

    base: ../demo/int2.yaml                      # a deck (path from this file), or the deck itself
    axes:
      - {key: quant.bits, values: [2, 3]}        # called "bits"
      - label: method                            # several keys that move together, and names for tables
        keys: [quant.method, quant.rows_at_once]
        values: [[boa, 1], [turboboa, 16]]
        names: [BoA, TurboBoA]
    zip: [[method, bits]]                        # axes that advance together; all others are crossed
    exclude: [{method: BoA, bits: [3]}]
    cell: {row_order: best}                      # best | mean: axes that one cell of the table sums up
    table: {rows: [method], columns: [bits], value: perplexity}   # for analysis only

All scalars stay text, so that a label reads as it was written. The program that runs the sweep checks the deck key by
key; here only what the table needs is checked.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from analysis.errors import UserError

KEYS = ("base", "axes", "zip", "exclude", "cell", "table")


@dataclass
class Axis:
    label: str
    values: dict  # name in tables -> {deck key: value}


@dataclass
class Member:
    """One run of the sweep."""

    labels: dict  # axis -> name of its value
    assignments: dict  # deck key -> value
    run_dir: str | None = None  # nothing while the run has no folder


@dataclass
class Sweep:
    path: Path
    base: dict
    axes: list
    members: list
    cell: dict = field(default_factory=dict)  # axis -> best | mean
    table: dict = field(default_factory=dict)  # rows, columns: axes; value: what is shown

    @property
    def out(self):
        """The folder of all run folders."""
        return Path(self.base.get("run", {}).get("out", "runs"))


def read_yaml(path):
    """YAML with all scalars as text; one sentence if it is none."""
    try:
        return yaml.load(Path(path).read_text(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{place}: not YAML: {getattr(error, 'problem', None) or error}") from None


def need(condition, path, sentence):
    if not condition:
        raise UserError(f"{path}: {sentence}")


def check_keys(path, where, mapping, known):
    need(isinstance(mapping, dict), path, f"{where}: keys with values expected ({', '.join(known)})")
    for key in mapping:
        need(key in known, path, f"{where}: unknown key {key}; known keys are {', '.join(known)}")


def as_list(value):
    return value if isinstance(value, list) else [value]


def text_of(value):
    """How a value reads in a table: 2, [a, b], {bits: 4}."""
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {text_of(item)}" for key, item in value.items()) + "}"
    return value


def read_axis(path, entry):
    check_keys(path, "axes", entry, ("label", "key", "keys", "values", "names"))
    need(("key" in entry) != ("keys" in entry), path, "axes: every axis has either key or keys")
    keys = entry["keys"] if "keys" in entry else [entry["key"]]
    need(isinstance(keys, list) and all(isinstance(key, str) and "." in key for key in keys), path,
         "axes: a key is section.key, for example quant.bits")
    need(len(keys) == 1 or "label" in entry, path, f"axes: {', '.join(keys)}: an axis of several keys needs a label")
    label, values = entry.get("label", keys[0].rsplit(".", 1)[-1]), entry.get("values")
    need(isinstance(values, list) and values, path, f"axis {label}: values: a list expected, for example [2, 3]")
    rows = values if len(keys) > 1 else [[value] for value in values]
    need(all(isinstance(row, list) and len(row) == len(keys) for row in rows), path,
         f"axis {label}: every value must be a list of {len(keys)}, one for each of {', '.join(keys)}")
    names = entry.get("names", ["/".join(map(text_of, row)) for row in rows])
    need(len(names) == len(rows), path, f"axis {label}: {len(names)} names for {len(rows)} values")
    need(len(set(names)) == len(names), path, f"axis {label}: a value stands there twice; give them names")
    return Axis(label, {name: dict(zip(keys, row)) for name, row in zip(names, rows)})


def read_groups(path, axes, zipped):
    """Axes that advance together; each axis is in one group."""
    known, groups = {axis.label: axis for axis in axes}, []
    for labels in zipped:
        for label in as_list(labels):
            need(label in known, path, f"zip: '{label}' is no axis; there are {', '.join(a.label for a in axes)}")
        group = [known.pop(label) for label in as_list(labels)]
        need(len({len(axis.values) for axis in group}) == 1, path, f"zip: {', '.join(labels)} have not equally many values")
        groups.append(group)
    groups += [[axis] for axis in known.values()]
    return sorted(groups, key=lambda group: min(map(axes.index, group)))


def check_exclusion(path, axes, entry):
    need(isinstance(entry, dict) and entry, path, "exclude: every entry names axes and values, for example {bits: 2}")
    known = {axis.label: axis.values for axis in axes}
    for label, names in entry.items():
        need(label in known, path, f"exclude: '{label}' is no axis; there are {', '.join(known)}")
        for name in as_list(names):
            need(name in known[label], path, f"exclude: '{name}' is no value of {label}; there are {', '.join(known[label])}")


def excluded(labels, exclusions):
    return any(all(labels[label] in as_list(names) for label, names in entry.items()) for entry in exclusions)


def read_table(path, kept, table):
    """Rows and columns, both complete: axes that nobody placed are rows."""
    check_keys(path, "table", table, ("rows", "columns", "value"))
    rows, columns = (as_list(table[key]) if key in table else None for key in ("rows", "columns"))
    for label in (rows or []) + (columns or []):
        need(label in kept, path, f"table: '{label}' is no axis that stays; those are {', '.join(kept) or 'none'}")
    if columns is None:
        columns = [label for label in kept if label not in rows] if rows else kept[:1] if len(kept) > 1 else []
    rows = (rows or []) + [label for label in kept if label not in columns + (rows or [])]
    need(not set(rows) & set(columns), path, "table: an axis is a row and a column")
    return {"rows": rows, "columns": columns, "value": table.get("value")}


def load_sweep(path):
    """The sweep with all its members; their folders are found by analysis.sweep_runs."""
    path = Path(path)
    tree = read_yaml(path)
    check_keys(path, "sweep", tree, KEYS)
    need("base" in tree, path, "base: missing: the deck that all runs share")
    base = tree["base"]
    base = read_yaml(path.parent / base) if isinstance(base, str) else base
    need(isinstance(base, dict), path, "base: a deck, or the path of one, expected")
    need(isinstance(tree.get("axes"), list) and tree["axes"], path, "axes: a list expected")
    axes = [read_axis(path, entry) for entry in tree["axes"]]
    labels = [axis.label for axis in axes]
    need(len(set(labels)) == len(labels), path, "axes: two are called the same; give one a label")
    groups = read_groups(path, axes, as_list(tree.get("zip", [])))
    exclusions = as_list(tree.get("exclude", []))
    for entry in exclusions:
        check_exclusion(path, axes, entry)
    cell = tree.get("cell", {})
    check_keys(path, "cell", cell, labels)
    for label, how in cell.items():
        need(how in ("best", "mean"), path, f"cell: {label}: best or mean expected, not {how}")
    members = [member for member in members_of(axes, groups) if not excluded(member.labels, exclusions)]
    need(members, path, "exclude: leaves no run")
    kept = [label for label in labels if label not in cell]
    return Sweep(path, base, axes, members, cell, read_table(path, kept, tree.get("table", {})))


def members_of(axes, groups):
    """Every combination; assignments in the order of the deck, so that later axes win."""
    for combination in itertools.product(*(zip(*(axis.values for axis in group)) for group in groups)):
        names = {axis.label: name for group, chosen in zip(groups, combination) for axis, name in zip(group, chosen)}
        assignments = {}
        for axis in axes:
            assignments |= axis.values[names[axis.label]]
        yield Member({axis.label: names[axis.label] for axis in axes}, assignments)
