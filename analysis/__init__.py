# SPDX-License-Identifier: Apache-2.0
"""Python side of Constrictor: token files before a run, tables and pictures after it.

tokens.py                text -> token file (`constrictor tokens`)
tasks.py, harness.py     zero-shot tasks -> request files (`constrictor tasks`)
generate.py              text after a prompt (`constrictor generate`)
__main__.py              `python -m analysis table | plot | diff | report`
read_results.py          the only reader of the result schema
sweep_deck.py, sweep_runs.py   the runs of a sweep, and the folders that they lie in
results.py               `load()`: tidy tables of runs, scores, layers, blocks and windows
"""

__version__ = "0.1.0"


def load(*sources):
    """Tidy tables of run folders or of a sweep deck: analysis.results.Results."""
    from analysis import results  # tokens.py must not wait for pandas
    return results.load(*sources)
