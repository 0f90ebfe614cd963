# SPDX-License-Identifier: Apache-2.0
"""The table of a sweep: a cell for every combination of the axes that stay, published numbers and the difference beside
it. A cell that is not complete says so, a best-of cell lists its members in a note, a warning of a run stands in a note."""

import math
from collections import Counter

from analysis import cells
from analysis.run_facts import state_words, warning_words
from analysis.text_table import TextTable


def chosen_words(labels):
    return ", ".join(f"{axis} {name}" for axis, name in labels.items())


def column_name(column_axes, labels):
    """"TurboBoA", or "bits 2": a bare number gets its axis."""
    return ", ".join(f"{axis} {labels[axis]}" if labels[axis][:1].isdigit() else labels[axis] for axis in column_axes)


def count_states(members):
    """Why there is no number: "failed", or "2 running, 1 failed" for several runs."""
    words = [state_words(member) or "no score" for member in members]
    if len(words) == 1:
        return words[0]
    return ", ".join(f"{n} {state}" for state, n in Counter(w.rstrip("0123456789/ ") for w in words).items())


def group_words(metric, group):
    """"29.11", "29.11 ± 0.30", or why there is no number."""
    if math.isnan(group.value):
        return count_states(group.members)
    words = cells.text(metric, group.value)
    if len(group.done()) > 1:
        words += f" ± {cells.text(metric, group.deviation)}"
    return words


def cell_words(metric, cell):
    """The number of a cell; one with runs missing says how many it has: "29.11 (3 of 4)"."""
    if cell.best is None:
        return count_states(cell.members)
    done = sum(len(group.done()) for group in cell.groups)
    missing = f" ({done} of {len(cell.members)})" if done < len(cell.members) else ""
    return group_words(metric, cell.best) + missing


def note_words(metric, cell, summed):
    """What the note of a cell says: its members, failures with their reason, warnings."""
    parts = []
    if len(cell.groups) > 1 and (cell.best or len({member["state"] for member in cell.members}) > 1):
        parts.append("; ".join(f"{chosen_words(group.labels)}: {group_words(metric, group)}" for group in cell.groups))
    unfinished = [member for group in cell.groups if group.done() for member in group.members if member["state"] != "done"]
    if unfinished:
        parts.append(count_states(unfinished))
    telling = [axis for axis in summed if len({member[axis] for member in cell.members}) > 1]
    for member in cell.members:
        for words in (member["message"] and f"{member['state']}: {member['message']}", warning_words(member["warnings"])):
            if words:
                parts.append(": ".join(filter(None, (chosen_words({axis: member[axis] for axis in telling}), words))))
    return ". ".join(parts)


class SweepTable:
    """Builds the TextTable of one sweep and one metric. `summed`: as in cells_of; `stars`: numbers of the runs that a
    table of cells would show, when this one shows them all."""

    def __init__(self, results, published, metric, dataset, summed, stars=()):
        layout = results.sweep.table
        self.metric, self.published, self.summed, self.stars = metric, published, summed, stars
        self.row_axes = layout["rows"] + [axis for axis in results.sweep.cell if axis not in summed]
        self.column_axes = layout["columns"]
        self.cells = cells.cells_of(results, metric, dataset, summed)
        self.columns = list(dict.fromkeys(self.column(cell.labels) for cell in self.cells))
        self.full = metric == "perplexity" and any(m["full"] == m["full"] for c in self.cells for m in c.members)
        self.strangers = published.strangers(results.axes, [cell.labels for cell in self.cells], metric)
        placed = [labels for labels, _, _ in self.strangers if set(self.column_axes) <= set(labels)]
        self.columns += [name for name in dict.fromkeys(self.column(labels) for labels in placed) if name not in self.columns]
        stated = [cell.labels for cell in self.cells if published.find(cell.labels, metric) is not None] + placed
        self.stated = {self.column(labels) for labels in stated}

    def column(self, labels):
        return column_name(self.column_axes, labels)

    def build(self):
        stated = any(self.published.find(cell.labels, "perplexity_full") is not None for cell in self.cells)
        header = self.row_axes + (["full precision" + " (published)" * stated] if self.full else [])
        for name in self.columns:
            header = header + [name or cells.METRICS[self.metric][0]]
            header = header + (["published", "difference"] if name in self.stated else [])
        table = TextTable(header, [])
        rows = {}
        for cell in self.cells:
            key = tuple(cell.labels[axis] for axis in self.row_axes)
            rows.setdefault(key, {})[self.column(cell.labels)] = cell
        for key, found in rows.items():
            texts = list(key) + ([self.full_words(found.values())] if self.full else [])
            for name in self.columns:
                texts += self.texts(table, found.get(name), name)
            table.rows.append(texts)
        self.add_strangers(table)
        return table

    def texts(self, table, cell, name):
        """One cell's number, and where its column has published ones, that number and the difference."""
        wide = name in self.stated
        if cell is None:
            return ["–"] + ["", ""] * wide
        words = cell_words(self.metric, cell)
        starred = any(member["member"] in self.stars for member in cell.members)
        if note := note_words(self.metric, cell, self.summed):
            words += " " + table.note(note)
        theirs = self.published.find(cell.labels, self.metric) if starred or not self.stars else None
        words += " *" if starred else ""
        if theirs is None:
            return [words] + ["", ""] * wide
        ours = cell.best.value if cell.best else math.nan
        return [words, theirs.text, self.difference(ours, theirs)]

    def difference(self, ours, theirs):
        return cells.METRICS[self.metric][3].replace("{:", "{:+").format(ours - theirs) if ours == ours else ""

    def full_words(self, found):
        """Perplexity of the full-precision model, and the published one: "15.66 (27.65)"."""
        values = sorted({cells.text("perplexity", m["full"]) for c in found for m in c.members if m["full"] == m["full"]})
        theirs = {self.published.find(cell.labels, "perplexity_full") for cell in found} - {None}
        stated = f"({', '.join(t.text for t in sorted(theirs))})" if theirs else ""
        return " ".join(filter(None, [", ".join(values), stated]))

    def add_strangers(self, table):
        """Published rows that this sweep does not repeat stand below, without numbers of ours."""
        rows = {}
        for labels, others, theirs in self.strangers:
            if set(self.column_axes) <= set(labels):
                names = [labels.get(axis, "") for axis in self.row_axes]
                names[:1] = [", ".join(filter(None, [names[0], chosen_words(others)]))] if names else []
                rows.setdefault(tuple(names), {})[self.column(labels)] = theirs
        for key, found in rows.items():
            texts = list(key) + [""] * self.full
            for name in self.columns:
                texts += ["not in this sweep" if name in found else "–"]
                if name in self.stated:
                    texts += [found[name].text if name in found else "", ""]
            table.rows.append(texts)


def caption(results, published, metric, dataset, summed):
    """What is shown, how cells were summed up, where the published numbers are from, how much is done."""
    title = cells.METRICS[metric][0] + (f" on {dataset}" if dataset and metric in ("perplexity", "kl", "top1") else "")
    path = results.sweep.path
    parts = [f"{path.parent.name if path.stem == 'sweep' else path.stem}: {title}"]
    for how, words in (("best", "best of {}"), ("mean", "mean ± sample deviation over {}")):
        if axes := [axis for axis, h in summed.items() if h == how]:
            parts.append(words.format(", ".join(axes)))
    if "source" in published.about:
        parts.append(f"published: {published.about['source']}")
    states = results.runs["state"].value_counts()
    parts.append(", ".join(f"{n} {state}" for state, n in states.items()))
    return "; ".join(parts)


def sweep_table(results, published, value=None, dataset=None, all_members=False):
    """The TextTable of a sweep. `all_members`: a line for every run, those that the cells show with a star, instead of
    notes that list them."""
    metric, deck_dataset = cells.metric_and_dataset(value or results.sweep.table["value"])
    dataset = results.dataset(dataset or (deck_dataset if len(results.scores) else None))
    summed, stars = results.sweep.cell, set()
    if all_members and summed:
        found = cells.cells_of(results, metric, dataset, summed)
        stars = {member["member"] for cell in found if cell.best for member in cell.best.members}
        summed = {}
    table = SweepTable(results, published, metric, dataset, summed, stars).build()
    table.caption = caption(results, published, metric, dataset, summed)
    return table


def member_frame(results, metric, dataset):
    """Every run of the sweep with its number, for --format csv: nothing rounded, nothing summed up."""
    rows = cells.member_rows(results, metric, dataset)
    columns = [*results.axes, "state", metric, "full", "run_dir", "message", "warnings"]
    return [columns] + [[row[a] for a in results.axes] + [row["state"], exact(row["value"]), exact(row["full"]),
                        row["run_dir"] or "", row["message"], "; ".join(row["warnings"])] for row in rows]


def exact(value):
    return repr(value) if value == value else ""
