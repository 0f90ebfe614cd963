# SPDX-License-Identifier: Apache-2.0
"""Python side of Constrictor: token files before a run, tables and pictures after it.

tokens.py       text -> token file (`constrictor tokens`)
read_results.py run folders -> one tidy table; the only reader of the result schema
tables.py, plots.py, compare_runs.py   what people look at
"""

__version__ = "0.1.0"
