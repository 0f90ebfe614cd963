# SPDX-License-Identifier: Apache-2.0
"""From a sweep deck to its table: the decks of experiments/demo/sweeps with few and short tokens, run by `constrictor sweep`."""

import csv
import io
import json
import re
import shutil

import pytest
import yaml

from analysis import load
from analysis.__main__ import main
from analysis.errors import call
from analysis.sweep_deck import load_sweep
from inputs import demo_tokens, short_tokens
from program import ROOT, run

SWEEPS = ROOT / "experiments" / "demo" / "sweeps"
DECKS = sorted(path for path in SWEEPS.glob("*.yaml") if not path.name.endswith("published.yaml"))


@pytest.fixture(scope="module")
def small_base(tmp_path_factory, model):
    """The base deck of the demo's sweeps with 16 x 32 tokens, and with 128 for the decks that vary their number."""
    folder = tmp_path_factory.mktemp("sweeps")
    calibration = short_tokens(demo_tokens("calibration"), folder / "calibration.tokens.h5", 128, 32)
    evaluation = short_tokens(demo_tokens("evaluation"), folder / "small.tokens.h5", 4, 64)
    return {"model": {"path": str(model)}, "calibration": {"tokens": str(calibration), "sequences": 16}, "quant": {"bits": 2},
            "evaluation": {"tokens": [str(evaluation)]}, "run": {"out": str(folder / "runs"), "threads": 1}}  # many short runs on a machine that may be busy


def shrunk(path, base, folder):
    """A copy of a sweep deck over the small base."""
    deck = folder / path.name
    text, replaced = re.subn(r"(?m)^base: .*$", lambda _: "base: " + yaml.safe_dump(base, default_flow_style=True, width=1000).strip(),
                             path.read_text().replace("value: evaluation", "value: small"))
    assert replaced == 1
    deck.write_text(text)
    return deck


def check_plan(deck):
    """The program and analysis mean the same runs by a deck; gives those of the program."""
    planned = json.loads(run("plan", deck, "--json").out)["runs"]
    labels = {tuple(sorted(member.labels.items())) for member in load_sweep(deck).members}
    assert {tuple(sorted(entry["labels"].items())) for entry in planned} == labels and len(planned) == len(labels)
    return planned


def table(capsys, *arguments):
    assert call(main, "analysis", ["table", *map(str, arguments)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
def test_a_deck_becomes_a_full_table(path, small_base, tmp_path, capsys):
    deck = shrunk(path, small_base, tmp_path)
    planned = check_plan(deck)
    if path.stem == "int2":
        return  # with 64 and 128 windows, for people
    result = run("sweep", deck, "--local", "-j", "2", timeout=250)
    assert result.code == 0, result
    said = table(capsys, deck)
    assert f"{len(planned)} done\n" in said and "not started" not in said, said
    lines = list(csv.DictReader(io.StringIO(table(capsys, deck, "--format", "csv", "--value", "perplexity"))))
    assert len(lines) == len(planned) and all(1 < float(line["perplexity"]) < 1e5 for line in lines)
    assert len({line["run_dir"] for line in lines}) == len(planned)
    results = load(deck)
    folders = {tuple(sorted(entry["labels"].items())): entry["run_id"] for entry in planned}
    for row in results.runs.to_dict("records"):
        assert folders[tuple(sorted((axis, row[axis]) for axis in results.axes))] == row["run"]


def test_a_sweep_under_way_shows_what_is_missing(small_base, tmp_path, capsys):
    base = {**small_base, "run": {"out": str(tmp_path / "runs"), "threads": 1}}
    deck = shrunk(SWEEPS / "turboboa_rows.yaml", base, tmp_path)
    assert table(capsys, deck).count("| not started") == 5
    assert run("sweep", deck, "--local").code == 0
    rows = load(deck).runs.set_index("N")["run_dir"]
    shutil.rmtree(rows["4"])
    (tmp_path / "runs" / rows["8"].rsplit("/", 1)[1] / "run.h5").write_bytes(b"")
    said = table(capsys, deck)
    assert "3 done, 1 not started, 1 unreadable" in said
    assert re.search(r"\|\s+8 \|.* unreadable \[1\] \|", said) and "not a readable HDF5 file" in said
    assert call(main, "analysis", ["report", str(deck), "--out", str(tmp_path / "r.html")]) == 0
    assert "data:image/png" in (tmp_path / "r.html").read_text()
    assert call(main, "analysis", ["diff", rows["1"], rows["16"]]) == 1
    said = capsys.readouterr().out
    assert "deck: quant.rows_at_once: 1 in A, 16 in B" in said and "first layer that differs: block 0, self_attn." in said
