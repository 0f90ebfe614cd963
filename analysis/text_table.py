# SPDX-License-Identifier: Apache-2.0
"""A table of texts with notes, printed as Markdown, LaTeX, HTML or CSV.

Own printers: those of pandas want two more packages (tabulate, jinja2) and cannot set notes below a table.
"""

import csv
import html
import io
import re
from dataclasses import dataclass, field

NUMBER = re.compile(r"[+-]?\d[\d.]*(e[+-]?\d+)?( of \d+)?( ± [\d.]+)?( \(.*\))?( \[\d+\])?( \*)?")  # with what may stand behind one


@dataclass
class TextTable:
    header: list
    rows: list  # lists of texts, as long as the header
    notes: list = field(default_factory=list)  # sentences below the table; note i is marked [i+1] in a cell
    caption: str = ""
    words_only: bool = False  # numbers in it are names, not to be compared

    def left(self):
        """True for each column that holds words: it is set flush left."""
        return [self.words_only or not any(NUMBER.fullmatch(cell) for cell in column) for column in zip(*self.rows)]

    def note(self, words):
        """The mark that stands for a note; one note for equal words."""
        if words not in self.notes:
            self.notes.append(words)
        return f"[{self.notes.index(words) + 1}]"


def markdown(table):
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells)]
    left = table.left() or [True] * len(table.header)

    def line(row):
        return "| " + " | ".join(c.ljust(w) if s else c.rjust(w) for c, w, s in zip(row, widths, left)) + " |"

    rule = "|" + "|".join("-" * (w + 2) if s else "-" * (w + 1) + ":" for w, s in zip(widths, left)) + "|"
    lines = ([table.caption, ""] if table.caption else []) + [line(cells[0]), rule, *map(line, cells[1:])]
    notes = [f"[{i}] {words}" for i, words in enumerate(table.notes, 1)]
    return "\n".join(lines + ([""] + "  \n".join(notes).split("\n") if notes else []))


SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "<": "$<$",
           ">": "$>$", "|": r"\textbar{}", **{c: "\\" + c for c in "%_&#${}"}}


def latex(table):
    def escape(cell):
        return "".join(SPECIAL.get(c, c) for c in cell)

    def row(cells):
        line = " & ".join(map(escape, cells))
        return ("{}" + line if line.startswith("[") else line) + r" \\"  # "\\ [" would be a length

    rows = [row(cells) for cells in table.rows]
    lines = [r"\begin{tabular}{" + "".join("l" if s else "r" for s in table.left()) + "}", r"\toprule", row(table.header),
             r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]
    notes = [rf"\par\footnotesize [{i}] {escape(words)}" for i, words in enumerate(table.notes, 1)]
    return "\n".join(([f"% {table.caption}"] if table.caption else []) + lines + notes)


def html_table(table):
    def row(cells, tag):
        marks = ("" if s else ' class="number"' for s in table.left() or [True] * len(cells))
        return "<tr>" + "".join(f"<{tag}{mark}>{html.escape(cell)}</{tag}>" for cell, mark in zip(cells, marks)) + "</tr>"

    body = "\n".join(row(cells, "td") for cells in table.rows)
    caption = f"<caption>{html.escape(table.caption)}</caption>" if table.caption else ""
    notes = "".join(f"<li>{html.escape(words)}</li>" for words in table.notes)
    return (f"<table>{caption}\n<thead>{row(table.header, 'th')}</thead>\n<tbody>\n{body}\n</tbody></table>"
            + (f'\n<ol class="notes">{notes}</ol>' if notes else ""))


def comma_separated(table):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([table.header, *table.rows])
    return out.getvalue().rstrip("\n")


PRINTERS = {"markdown": markdown, "latex": latex, "csv": comma_separated, "html": html_table}
