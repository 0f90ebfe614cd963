#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of the ablation into README.md, between its markers <!-- kl --> .. <!-- end --> and so on.

    python experiments/ablation/write_tables.py [SWEEP [README]]

Warnings of single runs (notes of `python -m analysis table`) are counted here, not repeated: there are hundreds of runs.
"""
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VALUES = ("kl", "perplexity", "minutes")


def table(sweep, value):
    """Caption, rows and the number of notes of one table."""
    words = [sys.executable, "-m", "analysis", "table", str(sweep), "--value", value]
    lines = subprocess.run(words, cwd=HERE.parents[1], check=True, capture_output=True, text=True).stdout.splitlines()
    notes = [line for line in lines if re.match(r"\[\d+\] ", line)]
    kept = [re.sub(r" \[\d+\]", "", line).rstrip() for line in lines if line not in notes]
    kept = [re.sub(r" +\|", " |", re.sub(r"\| +", "| ", line)) for line in kept]  # notes have gone, widths with them
    text = "\n".join(kept).strip()
    if notes:
        text += f"\n\n{len(notes)} cells have notes (warnings of runs): `python -m analysis table {sweep} --value {value}`."
    return text


def main(sweep=HERE / "sweep.yaml", readme=HERE / "README.md"):
    text = Path(readme).read_text()
    for value in VALUES:
        found = re.search(rf"<!-- {value} -->\n.*?<!-- end -->", text, re.S)
        if found is None:
            sys.exit(f"{readme}: no markers <!-- {value} --> .. <!-- end -->")
        text = text.replace(found[0], f"<!-- {value} -->\n{table(sweep, value)}\n<!-- end -->")
    Path(readme).write_text(text)
    print(readme)


if __name__ == "__main__":
    main(*sys.argv[1:])
