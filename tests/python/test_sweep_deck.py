# SPDX-License-Identifier: Apache-2.0
"""Sweep decks: which runs they mean, and what is said about bad ones."""

import pytest

from analysis.errors import UserError
from analysis.sweep_deck import load_sweep
from analysis.sweep_runs import find_folders

METHODS = "- {label: method, keys: [quant.method, quant.drift], values: [[gptq, none], [turboboa, sequential]], names: [GPTQ, T]}"
BITS = "- {key: quant.bits, values: [2, 3]}"


def labels(sweep):
    return ["/".join(member.labels.values()) for member in sweep.members]


def test_axes_are_crossed_and_the_last_varies_fastest(make_sweep):
    sweep = load_sweep(make_sweep(f"{METHODS}\n{BITS}"))
    assert labels(sweep) == ["GPTQ/2", "GPTQ/3", "T/2", "T/3"]
    assert sweep.members[3].assignments == {"quant.method": "turboboa", "quant.drift": "sequential", "quant.bits": "3"}
    assert sweep.table == {"rows": ["bits"], "columns": ["method"], "value": None}


def test_zip_and_exclude(make_sweep):
    seeds = "- {key: calibration.tokens, label: seed, values: [s0, s1]}"
    assert labels(load_sweep(make_sweep(f"{METHODS}\n{BITS}\n{seeds}", "zip: [[method, bits]]\nexclude: [{bits: 3, seed: [s0]}]"))) == [
        "GPTQ/2/s0", "GPTQ/2/s1", "T/3/s1"]


def test_names_of_lists_mappings_and_text_are_what_the_deck_says(make_sweep):
    layers = '- {key: quant.layers, values: [{}, {"mlp.down_proj": {bits: 4}}]}\n- {key: quant.alpha, values: [0.10, 1e-1, on]}'
    assert labels(load_sweep(make_sweep(layers)))[3:] == [f"{{mlp.down_proj: {{bits: 4}}}}/{a}" for a in ("0.10", "1e-1", "on")]


def test_layout_of_the_table(make_sweep):
    orders = "- {key: quant.row_order, values: [original, descending]}"
    sweep = load_sweep(make_sweep(f"{METHODS}\n{BITS}\n{orders}", "cell: {row_order: best}\ntable: {columns: [bits], value: evaluation.kl}"))
    assert sweep.cell == {"row_order": "best"}
    assert sweep.table == {"rows": ["method"], "columns": ["bits"], "value": "evaluation.kl"}


@pytest.mark.parametrize("axes, more, sentence", [
    (BITS, "axis: 1", "sweep: unknown key axis; known keys are base, axes, zip, exclude, cell, table"),
    ("- {label: b, values: [2]}", "", "axes: every axis has either key or keys"),
    ("- {key: quant.bits, values: 2}", "", "axis bits: values: a list expected"),
    ("- {key: quant.bits, values: [2, 2]}", "", "axis bits: a value stands there twice"),
    ("- {key: quant.bits, values: [2], names: [a, b]}", "", "axis bits: 2 names for 1 values"),
    ("- {keys: [quant.bits, quant.alpha], label: x, values: [[2]]}", "", "axis x: every value must be a list of 2"),
    (f"{BITS}\n{BITS}", "", "axes: two are called the same"),
    (BITS, "exclude: [{method: x}]", "exclude: 'method' is no axis; there are bits"),
    (BITS, "exclude: [{bits: 5}]", "exclude: '5' is no value of bits; there are 2, 3"),
    (BITS, "exclude: [{bits: [2, 3]}]", "exclude: leaves no run"),
    (BITS, "cell: {seed: best}", "cell: unknown key seed; known keys are bits"),
    (BITS, "cell: {bits: median}", "cell: bits: best or mean expected, not median"),
    (BITS, "table: {rows: [method]}", "table: 'method' is no axis that stays; those are bits"),
    (f"{BITS}\n- {{key: quant.alpha, values: [0.1]}}", "zip: [[bits, alpha]]", "zip: bits, alpha have not equally many values"),
    ("- [", "", "not YAML"),
])
def test_bad_decks(make_sweep, axes, more, sentence):
    path = make_sweep(axes, more)
    with pytest.raises(UserError) as refusal:
        load_sweep(path)
    assert str(refusal.value).startswith(str(path)) and sentence in str(refusal.value)


def folders(deck):
    return {"/".join(m.labels.values()): m.run_dir and m.run_dir.rsplit("/", 1)[1] for m in find_folders(load_sweep(deck)).members}


def test_folders_are_found_by_what_their_decks_say(make_run, make_sweep):
    make_run("runs/aa", method="gptq", bits=2, quant={"drift": "none"})
    make_run("runs/bb", method="turboboa", bits=3, quant={"drift": "sequential"})
    make_run("runs/cc", method="turboboa", bits=3, quant={"drift": "sequential", "alpha": 0.5})  # of another base deck
    assert folders(make_sweep(f"{METHODS}\n{BITS}")) == {"GPTQ/2": "aa", "GPTQ/3": None, "T/2": None, "T/3": "bb"}


def test_of_two_that_fit_the_plan_decides(make_run, make_sweep, tmp_path):
    make_run("runs/aa", quant={"damping": 0.1})
    make_run("runs/bb", quant={"damping": 0.01})
    deck = make_sweep("- {key: quant.bits, values: [2]}")
    with pytest.raises(UserError, match="2 run folders fit bits 2: .*`constrictor plan` tells which is meant"):
        folders(deck)
    (tmp_path / "runs/sweep.plan.json").write_text('{"schema": 1, "runs": [{"folder": "runs/bb", "labels": {"bits": "2"}}]}')
    assert folders(deck) == {"2": "bb"}
    (tmp_path / "runs/sweep.plan.json").write_text('{"schema": 2, "runs": []}')
    with pytest.raises(UserError, match="sweep.plan.json: schema 2, but this version of analysis reads only 1"):
        folders(deck)


def test_variables_and_overrides_of_layers(make_run, make_sweep, tmp_path, monkeypatch):
    make_run("runs/aa")
    other = make_run("runs/bb")
    (other / "deck.yaml").write_text((other / "deck.yaml").read_text().replace("layers: {}", 'layers:\n    "mlp.*": {bits: 4}'))
    deck = make_sweep('- {key: quant.layers, label: mlp, values: [{}, {"mlp.*": {bits: 4}}], names: ["2", "4"]}')
    deck.write_text(deck.read_text().replace("path: m", 'path: "${WHERE}"'))
    assert folders(deck) == {"2": None, "4": None}
    monkeypatch.setenv("WHERE", "m")
    assert folders(deck) == {"2": "aa", "4": "bb"}
    monkeypatch.delenv("WHERE")  # a variable that is not set here: the plan still knows
    (tmp_path / "runs/sweep.plan.json").write_text('{"schema": 1, "runs": [{"folder": "runs/bb", "labels": {"mlp": "4"}}]}')
    assert folders(deck) == {"2": None, "4": "bb"}
