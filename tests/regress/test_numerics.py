# SPDX-License-Identifier: Apache-2.0
"""Inputs on which the arithmetic fails or degenerates: named, recorded, never silent."""

import h5py
import numpy as np
import pytest

from analysis.read_results import load_layers, load_log
from inputs import copied_model, edit_tensor, short_tokens, write_deck
from program import assert_refused, quantize, quantize_arguments, run

ATTENTION_NORM = "model.layers.1.input_layernorm.weight"


@pytest.fixture
def own_model(model, tmp_path):
    return copied_model(model, tmp_path / "model")


@pytest.mark.parametrize("ranks", (1, 2))
def test_activations_that_overflow(deck, own_model, tmp_path, ranks):
    def enlarge(values):
        values *= 1e30
    edit_tensor(own_model, "model.layers.1.mlp.up_proj.weight", enlarge)
    edit_tensor(own_model, "model.layers.1.mlp.gate_proj.weight", enlarge)
    result = run(*quantize_arguments(deck, tmp_path / "run", {"model.path": own_model}), ranks=ranks)
    assert_refused(result, 4, "block 1", "NaN or Inf", "calibration sequence 0")
    assert [path.name for path in (tmp_path / "run" / "blocks").iterdir()] == ["0000.h5"]


@pytest.mark.parametrize("method", ("gptq", "turboboa"))
@pytest.mark.parametrize("products", ("float32", "bfloat16"))
def test_a_hessian_of_few_tokens(deck, calibration, tmp_path, method, products):
    """64 tokens for 128 and 352 inputs: factored after retries that are told and recorded, or refused by name."""
    few = short_tokens(calibration, tmp_path / "few.tokens.h5", 1, 64)
    result = run(*quantize_arguments(deck, tmp_path / "run", {
        "calibration.tokens": few, "calibration.sequences": 1, "quant.damping": 1e-8, "quant.method": method,
        "run.products": products}))
    if result.code != 0:
        return assert_refused(result, 4, "block ", ", self_attn.", "could not be factored", "more calibration tokens")
    layers = load_layers([tmp_path / "run"])
    assert np.isfinite(layers[["loss_after", "loss_scale", "condition_estimate"]]).all(axis=None)
    for _, layer in layers[layers["damping_retries"] > 0].iterrows():
        assert f"block {layer['block']}, {layer['layer']}: the factorization needed damping" in result.err


def shrink_attention_input(folder):
    """The squares of 1e-22 are a few steps of the smallest floats: that matrix is far from positive definite."""
    def shrink(values):
        values[...] = 2.0 ** -73
    edit_tensor(folder, ATTENTION_NORM, shrink)


@pytest.mark.parametrize("method", ("gptq", "turboboa"))
@pytest.mark.parametrize("ranks", (1, 2))
def test_a_hessian_that_cannot_be_factored(deck, own_model, tmp_path, method, ranks):
    shrink_attention_input(own_model)
    settings = {"model.path": own_model, "quant.method": method, "run.products": "float32", "quant.damping": 1e-8}
    stopped = run(*quantize_arguments(deck, tmp_path / "run", settings), ranks=ranks)
    assert_refused(stopped, 4, "block 1, self_attn.", "could not be factored", "more calibration tokens", "quant.damping",
                   "quant.fallback: rtn")
    assert [path.name for path in (tmp_path / "run" / "blocks").iterdir()] == ["0000.h5"]

    settings["quant.fallback"] = "rtn"
    result = quantize(deck, tmp_path / "allowed", settings, ranks=ranks)
    layers = load_layers([tmp_path / "allowed"])
    fallen = layers[layers["method_used"] != layers["method"]]
    assert set(fallen["block"]) == {1} and "self_attn.q_proj" in set(fallen["layer"])
    assert set(fallen["method_used"]) == {"rtn"} and set(layers["method"]) == {method}
    for name in fallen["layer"]:
        assert f"block 1, {name}: quantized with rtn instead of {method}" in result.err
    assert result.err.splitlines()[-1].endswith("log.jsonl too")  # loud at the end
    words = " ".join(load_log(tmp_path / "allowed")["words"].dropna())
    assert "quantized with rtn instead of" in words
    assert "quantized with rtn instead of" in run("inspect", tmp_path / "allowed").err


def test_retries_are_told_and_recorded(deck, own_model, tmp_path):
    """The same matrix with a damping that gets there: ten times more with every retry."""
    shrink_attention_input(own_model)
    result = quantize(deck, tmp_path / "run", {"model.path": own_model, "run.products": "float32"})
    layers = load_layers([tmp_path / "run"])
    retried = layers[layers["damping_retries"] > 0]
    assert {"self_attn.q_proj", "self_attn.v_proj"} <= set(retried["layer"]) and set(retried["block"]) == {1}
    for _, layer in retried.iterrows():
        assert layer["damping"] == pytest.approx(0.01 * 10 ** layer["damping_retries"])
        assert f"block 1, {layer['layer']}: the factorization needed damping {layer['damping']:g}" in result.err


@pytest.mark.parametrize("method", ("gptq", "turboboa"))
def test_an_input_that_is_always_zero(deck, own_model, tmp_path, method):
    def silence(values):
        values[[3, 77]] = 0
    edit_tensor(own_model, ATTENTION_NORM, silence)
    result = quantize(deck, tmp_path / "run", {"model.path": own_model, "quant.method": method})
    layers = load_layers([tmp_path / "run"])
    dead = layers[layers["dead_columns"] > 0]
    assert set(dead["layer"]) == {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}
    assert set(dead["block"]) == {1} and set(dead["dead_columns"]) == {2}
    assert "block 1, self_attn.v_proj: 2 inputs are always zero; their weights are set to zero" in result.err
    with h5py.File(tmp_path / "run" / "blocks" / "0001.h5") as file:
        layer = file["self_attn.q_proj"]
        values = layer["scale"][()] * (layer["codes"][()][:, [3, 77]].astype(np.float32) - layer["zero"][()])
        assert not values.any()


def test_a_model_of_zeros(deck, own_model, tmp_path):
    """A layer whose weights are all zero has no loss to compare with, and no division by it."""
    def clear(values):
        values[...] = 0
    edit_tensor(own_model, "model.layers.1.mlp.down_proj.weight", clear)
    result = quantize(deck, tmp_path / "run", {"model.path": own_model})
    assert "nan" not in result.out + result.err
    layers = load_layers([tmp_path / "run"])
    assert np.isfinite(layers["loss_after"]).all()
