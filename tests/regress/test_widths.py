# SPDX-License-Identifier: Apache-2.0
"""A budget of bits: the choice is kept, the same on any number of ranks and after a kill, and better than chance."""

import json

import h5py
import pytest

from program import assert_refused, kill_all, quantize, quantize_arguments, run, start, wait_for
from test_ranks import assert_equal

BUDGET = {"quant.bits": "{average: 2.5, choices: [2, 3, 4]}", "quant.layers.0.mlp.up_proj.bits": 2, "run.threads": 1}


def widths(run_dir):
    return json.loads((run_dir / "widths.json").read_text())["layers"]


def stored_bits(run_dir):
    """{(block, layer): bits} of the block files."""
    bits = {}
    for path in sorted((run_dir / "blocks").glob("*.h5")):
        with h5py.File(path) as file:
            bits |= {(int(file.attrs["block"]), name): int(file[name].attrs["bits"]) for name in file}
    return bits


@pytest.fixture(scope="module")
def undisturbed(deck, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("widths") / "run"
    quantize(deck, run_dir, BUDGET)
    return run_dir


def test_the_budget_is_kept_and_used(undisturbed):
    layers = widths(undisturbed)
    weights = sum(layer["weights"] for layer in layers)
    average = sum(layer["weights"] * layer["chosen"] for layer in layers) / weights
    assert 2.45 < average <= 2.5
    assert stored_bits(undisturbed) == {(layer["block"], layer["layer"]): layer["chosen"] for layer in layers}
    fixed = next(layer for layer in layers if (layer["block"], layer["layer"]) == (0, "mlp.up_proj"))
    assert fixed["bits"] == [2] and fixed["loss"] == [] and fixed["chosen"] == 2
    for layer in layers:  # more bits, less loss
        assert layer["loss"] == sorted(layer["loss"], reverse=True)
    told = run("inspect", undisturbed).out
    assert f"average           {average:.4g} bits a weight" in told


def test_the_same_bits_on_three_ranks(deck, undisturbed, tmp_path):
    quantize(deck, tmp_path / "run", BUDGET, ranks=3)
    assert widths(tmp_path / "run") == widths(undisturbed)
    assert_equal(undisturbed, tmp_path / "run")


@pytest.mark.parametrize("sign", ("run.lock", "blocks/0001.h5"))
def test_killed_while_it_measures_and_after(deck, undisturbed, tmp_path, sign):
    run_dir = tmp_path / "run"
    process = start(*quantize_arguments(deck, run_dir, BUDGET))
    wait_for((run_dir / sign).exists, process)
    kill_all(process)
    chosen = (run_dir / "widths.json").exists()
    assert chosen or sign == "run.lock"
    out = quantize(deck, run_dir, BUDGET).out
    assert ("as measured before" in out) == chosen
    assert widths(run_dir) == widths(undisturbed)
    assert_equal(undisturbed, run_dir)


def test_a_budget_that_cannot_be_met(deck, tmp_path):
    settings = {**BUDGET, "quant.layers.mlp.*.bits": 4}
    assert_refused(run(*quantize_arguments(deck, tmp_path / "run", settings)), 2,
                   "quant.bits.average: 2.5 bits a weight cannot be met", "2 bits for all other layers take 3.")
    assert not (tmp_path / "run").exists()


def test_a_budget_needs_the_model(deck, undisturbed, tmp_path):
    result = run(*quantize_arguments(deck, tmp_path / "run", BUDGET), "--from-statistics", undisturbed)
    assert_refused(result, 2, "quant.bits: a budget needs the model")
