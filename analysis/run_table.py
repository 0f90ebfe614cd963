# SPDX-License-Identifier: Apache-2.0
"""The table of single runs: method, bits, perplexity before and after, KL, top-1 agreement, seconds, and what to know."""

import pandas as pd

from analysis.run_facts import state_words, warning_words
from analysis.text_table import TextTable

COLUMNS = {  # column of the summary -> (title, format)
    "run": ("run", "{}"), "model": ("model", "{}"), "method": ("method", "{}"), "bits": ("bits", "{}"),
    "group_size": ("group", "{}"), "dataset": ("data set", "{}"), "full_perplexity": ("full precision", "{:.2f}"),
    "perplexity": ("quantized", "{:.2f}"), "kl_to_full": ("KL (nats)", "{:.3f}"),
    "top1_agreement": ("top-1 (%)", "{:.1%}"), "zero_shot": ("zero-shot (%)", "{:.1%}"),
    "seconds": ("seconds", "{:.1f}"), "note": ("note", "{}"),
}


def note(row):
    """What a reader must know beside the number: an unfinished run and why, fallbacks, layers that got worse."""
    return ", ".join(filter(None, (state_words(row), row["message"], warning_words(row["warnings"]))))


def summary(results, dataset=None):
    """One row per run and data set: `run_dir` and the columns of COLUMNS (numbers, not text)."""
    runs = results.runs.assign(note=[note(row) for row in results.runs.to_dict("records")])
    scores = results.scores.drop(columns=["run", "run_dir", *results.axes])
    scores = scores[scores["dataset"] == results.dataset(dataset)] if dataset else scores
    return runs.merge(scores, on="member", how="left").reindex(columns=["run_dir", *COLUMNS])


def silent(table, column):
    """True for a column that tells nothing."""
    values = table[column]
    told = [value for value in values if not (value is None or pd.isna(value) or value == "")]
    alone = column in ("model", "dataset") and len(set(told)) <= 1
    return not told or alone or (column == "group_size" and set(told) == {"0"}) or (
        column == "run" and list(values) == list(table["method"]))


def run_table(results, dataset=None):
    table = summary(results, dataset)
    shown = [column for column in COLUMNS if not silent(table, column)]
    rows = [["" if v is None or pd.isna(v) else COLUMNS[c][1].format(v).removesuffix("%") for c, v in zip(shown, row)]
            for row in table[shown].itertuples(index=False)]
    return TextTable([COLUMNS[column][0] for column in shown], rows)
