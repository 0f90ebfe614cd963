# SPDX-License-Identifier: Apache-2.0
"""Tables of sweeps: best-of and mean cells, published numbers, what is missing; and how fast a thousand runs are read."""

import csv
import io
import shutil
import time

import pytest

from analysis.__main__ import main
from analysis.errors import call

BITS = "- {key: quant.bits, values: [2, 3]}"
METHODS = "- {key: quant.method, values: [gptq, boa], names: [GPTQ, BoA]}"
ORDERS = "- {label: order, key: quant.row_order, values: [original, descending]}"


@pytest.fixture
def table(capsys):
    def run(*arguments):
        assert call(main, "analysis", ["table", *map(str, arguments)]) == 0
        return capsys.readouterr().out
    return run


def rows(text):
    """{first cell: other cells} of a Markdown table."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines if not line[0].startswith("-")}


def notes(text):
    return dict(line.strip().split(" ", 1) for line in text.splitlines() if line.startswith("["))


def test_cells_states_and_published_numbers(make_run, make_sweep, table):
    make_run("runs/a", perplexity=35.27)
    make_run("runs/b", method="boa", perplexity=None, state="failed", words="disk full")
    make_run("runs/c", bits=3, perplexity=None, state="running")
    said = table(make_sweep(f"{METHODS}\n{BITS}", "table: {columns: [bits]}", published="source: a paper\nnumbers:\n"
                 "  - {perplexity_full: 15.6}\n  - {method: GPTQ, bits: 2, perplexity: 36.0}\n  - {method: QuIP, bits: 2, perplexity: 1e4}\n"
                 "  - {method: BoA, bits: 2, rotation: QuaRot, perplexity: 20}\n"))
    assert rows(said) == {
        "method": ["full precision (published)", "bits 2", "published", "difference", "bits 3"],
        "GPTQ": ["15.66 (15.6)", "35.27", "36.0", "-0.73", "running 2/4"],
        "BoA": ["(15.6)", "failed [1]", "", "", "not started"],
        "QuIP": ["", "not in this sweep", "1e4", "", "–"],
        "BoA, rotation QuaRot": ["", "not in this sweep", "20", "", "–"]}
    assert notes(said) == {"[1]": "failed: disk full"}
    assert "perplexity on evaluation; published: a paper; 1 done, 1 running, 1 failed, 1 not started" in said


def test_best_cells_list_their_members(make_run, make_sweep, table):
    make_run("runs/a", perplexity=35.0, quant={"row_order": "original"})
    make_run("runs/b", perplexity=34.0, quant={"row_order": "descending"}, words="block 0, q: loss is above that of plain rounding")
    make_run("runs/c", method="boa", perplexity=33.0, quant={"row_order": "original"})
    deck = make_sweep(f"{METHODS}\n{ORDERS}", "cell: {order: best}", published="numbers: [{method: GPTQ, perplexity: 33.5}]")
    said = table(deck)
    assert rows(said)["GPTQ"] == ["15.66", "34.00 [1]", "33.5", "+0.50"]
    assert rows(said)["BoA"] == ["15.66", "33.00 (1 of 2) [2]", "", ""]
    assert notes(said) == {"[1]": "order original: 35.00; order descending: 34.00. order descending: 1 layer worse than plain rounding",
                           "[2]": "order original: 33.00; order descending: not started"}
    lines = [line for line in table(deck, "--all").splitlines() if line.startswith("| GPTQ")]
    assert [[c.strip() for c in line.strip("|").split("|")] for line in lines] == [
        ["GPTQ", "original", "15.66", "35.00", "", ""], ["GPTQ", "descending", "15.66", "34.00 [1] *", "33.5", "+0.50"]]
    assert rows(table(deck, "--value", "top1"))["GPTQ"] == ["62.5 [1]"]
    assert rows(table(deck, "--published", "none"))["GPTQ"] == ["15.66", "34.00 [1]"]


def test_mean_cells_give_the_deviation(make_run, make_sweep, table):
    for seed, perplexity in enumerate((30.0, 31.0, 35.0)):
        make_run(f"runs/{seed}", perplexity=perplexity, quant={"damping": f"0.0{seed}"})
    make_run("runs/boa", method="boa", perplexity=29.0, quant={"damping": "0.00"})
    seeds = '- {label: seed, key: quant.damping, values: ["0.00", "0.01", "0.02"]}'
    said = table(make_sweep(f"{METHODS}\n{seeds}", "cell: {seed: mean}"))
    assert rows(said)["GPTQ"] == ["15.66", "32.00 ± 2.65"]  # sample deviation: sqrt((4 + 1 + 9) / 2)
    assert rows(said)["BoA"] == ["15.66", "29.00 (1 of 3) [1]"] and notes(said) == {"[1]": "2 not started"}
    assert "mean ± sample deviation over seed" in said


def test_best_of_means(make_run, make_sweep, table):
    for order, values in (("original", (30.0, 40.0)), ("descending", (34.0, 35.0))):
        for seed, perplexity in enumerate(values):
            make_run(f"runs/{order}{seed}", perplexity=perplexity, quant={"row_order": order, "damping": f"0.0{seed}"})
    seeds = '- {label: seed, key: quant.damping, values: ["0.00", "0.01"]}'
    said = table(make_sweep(f"{ORDERS}\n{seeds}", "cell: {order: best, seed: mean}"))
    assert "34.50 ± 0.71 [1]" in said and notes(said)["[1]"] == "order original: 35.00 ± 7.07; order descending: 34.50 ± 0.71"


def test_nan_is_no_best(make_run, make_sweep, table):
    make_run("runs/a", perplexity=float("nan"), quant={"row_order": "original"})
    make_run("runs/b", perplexity=1234.5, quant={"row_order": "descending"})
    said = table(make_sweep(ORDERS, "cell: {order: best}"))
    assert "1234 (1 of 2) [1]" in said or "1235 (1 of 2) [1]" in said
    assert notes(said)["[1]"].startswith("order original: no score")


def test_latex_html_csv(make_run, make_sweep, table):
    make_run("runs/a", perplexity=35.0, quant={"row_order": "original"}, words="a % sign")
    deck = make_sweep(ORDERS, "cell: {order: best}")
    assert r"15.66 & 35.00 (1 of 2) [1] \\" in table(deck, "--format", "latex")
    assert r"\par\footnotesize [1] order original: 35.00; order descending: not started. order original: 1 other warning" in table(
        deck, "--format", "latex")
    assert '<td class="number">35.00 (1 of 2) [1]</td>' in table(deck, "--format", "html")
    lines = list(csv.DictReader(io.StringIO(table(deck, "--format", "csv"))))
    assert [(line["order"], line["state"], line["perplexity"]) for line in lines] == [
        ("original", "done", "35.0"), ("descending", "not started", "")]
    assert lines[0]["warnings"] == "a % sign"


@pytest.mark.parametrize("published, sentence", [
    ("numbers: [{method: GPTQ}]", "numbers: every entry has labels and one of perplexity, "),
    ("numbers: [{perplexity: high}]", "a number expected"),
    ("number: []", "published: unknown key number; known keys are title, "),
])
def test_bad_published_numbers(make_sweep, capsys, published, sentence):
    assert call(main, "analysis", ["table", str(make_sweep(BITS, published=published))]) == 2
    said = capsys.readouterr().err
    assert "published.yaml: " in said and sentence in said


def test_bad_words(make_sweep, capsys):
    deck = make_sweep(BITS)
    assert call(main, "analysis", ["table", str(deck), "--value", "wikitext2.speed"]) == 2
    assert "value wikitext2.speed: speed is none of perplexity, kl, top1, zero_shot, acc, seconds, minutes" in capsys.readouterr().err
    assert call(main, "analysis", ["table", str(make_sweep("- {label: state, key: quant.bits, values: [2]}"))]) == 2
    assert "an axis cannot be called 'state', that is a column of the tables" in capsys.readouterr().err


def test_a_thousand_runs_take_less_than_ten_seconds(make_run, make_sweep, table, tmp_path):
    """Folders as large as those of a 32-block model, but for the block files, which a table does not read."""
    model = make_run("model", words="block 3, mlp.down_proj: loss 0.5 is above that of plain rounding, 0.4 (relative)")
    line = (model / "log.jsonl").read_text().splitlines()[1]
    (model / "log.jsonl").write_text("\n".join([line.replace('"block":0', '"x":"' + "0123456789" * 28 + '"')] * 32 * 7)
                                     + "\n" + (model / "log.jsonl").read_text())
    deck = (model / "deck.yaml").read_text()
    for number in range(1000):
        run = tmp_path / "runs" / f"{number:04d}"
        shutil.copytree(model, run)
        (run / "deck.yaml").write_text(deck.replace("alpha: 0.25", f"alpha: {number / 1000}"))
    values = ", ".join(str(number / 1000) for number in range(1000))
    start = time.process_time()
    said = table(make_sweep(f"- {{key: quant.alpha, values: [{values}]}}"))
    seconds = time.process_time() - start  # of this process: the machine may be busy with other things
    print(f"1000 runs in {seconds:.1f} s")
    assert "1000 done" in said and rows(said)["0.999"] == ["15.66", "30.00 [1]"]
    assert seconds < 10
