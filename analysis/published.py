# SPDX-License-Identifier: Apache-2.0
"""Published numbers, kept as data beside the sweep that repeats them: <sweep>.published.yaml or published.yaml.

    title: BoA, Table 3: OPT-125M
    source: BoA (arXiv 2406.13474), Table 3
    protocol: WikiText-2 test, windows of 2048
    hardware: one NVIDIA A100            # theirs
    expected: {minutes: 12, hardware: one NVIDIA H100, basis: design budget}     # ours
    status: runs                         # or why it cannot run yet
    numbers:
      - {method: GPTQ, bits: 2, perplexity: 411.3, minutes: 4}
      - {perplexity_full: 27.65}         # entries hold for all cells that have the values they name
"""

from dataclasses import dataclass, field
from pathlib import Path

from analysis.errors import UserError
from analysis.sweep_deck import as_list, check_keys, read_yaml

KEYS = ("title", "source", "protocol", "hardware", "expected", "status", "numbers", "note")
METRICS = ("perplexity", "perplexity_full", "kl", "top1", "zero_shot", "minutes")  # of an entry; all other keys are axes


class Stated(float):
    """A published number that is shown as it was written."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = str(text)
        return number


@dataclass
class Published:
    path: Path
    about: dict = field(default_factory=dict)  # title, source, ...
    entries: list = field(default_factory=list)  # (labels, {metric: number})

    def find(self, labels, metric):
        """The number of the entry that names most of these labels and none of other value; None without one."""
        fitting = [(len(wanted), numbers[metric]) for wanted, numbers in self.entries
                   if metric in numbers and fits(labels, wanted)]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None

    def strangers(self, axes, cells, metric):
        """(labels on the axes, other labels) of entries that belong to no cell: published, but not in this sweep, or
        published under conditions that it does not have."""
        found = []
        for wanted, numbers in self.entries:
            if metric in numbers and wanted and not any(fits(cell, wanted) for cell in cells):
                found.append(({axis: name for axis, name in wanted.items() if axis in axes},
                              {key: name for key, name in wanted.items() if key not in axes}, numbers[metric]))
        return found


def fits(labels, wanted):
    return all(labels.get(axis) == name for axis, name in wanted.items())


def load_published(path):
    path = Path(path)
    tree = read_yaml(path)
    check_keys(path, "published", tree, KEYS)
    entries = []
    for entry in as_list(tree.get("numbers", [])):
        if not isinstance(entry, dict) or not set(entry) & set(METRICS):
            raise UserError(f"{path}: numbers: every entry has labels and one of {', '.join(METRICS)}")
        try:
            numbers = {key: Stated(value) for key, value in entry.items() if key in METRICS}
        except (TypeError, ValueError):
            raise UserError(f"{path}: numbers: {entry}: a number expected") from None
        entries.append(({key: value for key, value in entry.items() if key not in METRICS}, numbers))
    return Published(path, {key: value for key, value in tree.items() if key != "numbers"}, entries)


def published_beside(sweep_path, given=None):
    """What `--published` names ("none": nothing), else the file beside the sweep deck, else no numbers."""
    if given is None and sweep_path:
        path = Path(sweep_path)
        names = [path.with_suffix(".published.yaml")] + ([path.with_name("published.yaml")] if path.stem == "sweep" else [])
        given = next((name for name in names if name.exists()), None)
    return load_published(given) if given and given != "none" else Published(Path("none"))
