# SPDX-License-Identifier: Apache-2.0
"""Statistics by sublayer, row metrics behind the softmax, alpha from held-out lanes: whole runs on a tiny model."""

import h5py
import numpy as np
import pytest

from program import assert_refused, quantize, quantize_arguments, run
from test_ranks import KEEP, assert_equal

EVERYTHING = {"quant.gather": "sublayer", "quant.row_metric": "softmax", "quant.metric_positions": 5, "quant.drift": "exact",
              "quant.alpha_rule": "held_out", "quant.held_out_lanes": 3, **KEEP}


@pytest.fixture(scope="module")
def one_rank(deck, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "run"
    quantize(deck, folder, {**EVERYTHING, "run.threads": 1})
    return folder


def layers_of(folder, block):
    """Attributes of each layer, and its drift D where there is one."""
    with h5py.File(folder / "blocks" / f"{block:04d}.h5") as file:
        return {name: {**group.attrs, "D": group["statistics"]["D"][:] if "D" in group["statistics"] else np.zeros(1)}
                for name, group in file.items()}


def test_ranks_do_not_change_a_bit(deck, one_rank, tmp_path):
    quantize(deck, tmp_path / "run", EVERYTHING, ranks=2)
    assert_equal(one_rank, tmp_path / "run")


def test_fast_reduction_agrees(deck, one_rank, tmp_path):
    quantize(deck, tmp_path / "run", {**EVERYTHING, "run.reduction": "fast"}, ranks=2)
    for name, layer in layers_of(tmp_path / "run", 0).items():
        exact = layers_of(one_rank, 0)[name]
        assert abs(layer["alpha_used"] - exact["alpha_used"]) < 0.05, name
        assert layer["loss_scale"] == pytest.approx(exact["loss_scale"], rel=0.05), name


def test_alpha_is_recorded_where_there_is_drift(one_rank):
    first, later = layers_of(one_rank, 0), layers_of(one_rank, 1)
    for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
        assert first[name]["alpha_used"] == 0, name  # nothing is quantized before them
    used = [layer["alpha_used"] for layers in (first, later) for layer in layers.values()]
    assert all(0 <= alpha <= 1 for alpha in used) and len(set(used)) > 3
    assert "alpha" in run("inspect", str(one_rank)).out


def test_drift_within_the_first_block(deck, one_rank, tmp_path):
    quantize(deck, tmp_path / "run", {**KEEP, "quant.drift": "exact"})
    plain, again = layers_of(tmp_path / "run", 0), layers_of(one_rank, 0)
    for name in plain:
        assert not plain[name]["D"].any(), name
    for name in ("self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
        assert again[name]["D"].any(), name


@pytest.mark.parametrize("settings, words", [
    ({"quant.held_out_lanes": 9}, ("larger than the calibration set", "9 of 16 lanes")),
    ({"calibration.sequences": 15}, ("needs a sequence a lane", "15", "16")),
    ({"quant.drift": "none"}, ("quant.drift is none",)),
    ({"quant.gather": "layer"}, ("'layer' is not known", "block, sublayer")),
    ({"quant.metric_positions": -1}, ("quant.metric_positions", "out of range")),
])
def test_refused(deck, tmp_path, settings, words):
    result = run(*quantize_arguments(deck, tmp_path / "run", {**EVERYTHING, **settings}))
    assert_refused(result, 2, *words)
    assert not (tmp_path / "run").exists()
