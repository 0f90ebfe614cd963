# SPDX-License-Identifier: Apache-2.0
"""Mixtures of experts: whose statistics an expert gets, and what is on record of it. Forward passes: unit_model; ranks: test_ranks."""
from pathlib import Path

import h5py
import numpy as np
import pytest

from inputs import write_deck, write_tokens
from program import assert_refused, quantize, quantize_arguments, run
from test_ranks import KEEP

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests" / "oracle" / "mixtral"  # 4 experts, two a token; 32 inputs, 20 behind the gate


@pytest.fixture(scope="module")
def make_deck(tmp_path_factory):
    def make(sequences):
        folder = tmp_path_factory.mktemp("experts")
        ids = np.random.default_rng(7).integers(0, 97, (sequences, 40))
        tokens = write_tokens(folder / "c.tokens.h5", ids, vocab_size=np.int64(97))
        return write_deck(folder / "deck.yaml", MODEL, tokens, sequences=sequences)
    return make


def experts_of(folder, block=0):
    with h5py.File(folder / "blocks" / f"{block:04d}.h5") as file:
        return {name: (dict(group.attrs), group["statistics"]["H_in"][:]) for name, group in file.items() if "experts" in name}


def test_every_expert_has_statistics_of_its_own_tokens(make_deck, tmp_path):
    quantize(make_deck(12), tmp_path / "run", KEEP)
    layers = experts_of(tmp_path / "run")
    assert len(layers) == 12
    tokens = {attributes["expert"]: attributes["expert_tokens"] for attributes, _ in layers.values()}
    assert sum(tokens.values()) == 2 * 12 * 40 and min(tokens.values()) >= 32
    assert not any(attributes["shared_statistics"] for attributes, _ in layers.values())
    gates = [H for name, (_, H) in layers.items() if name.endswith("w1")]
    assert all(np.abs(gates[0] - other).max() > 1e-3 for other in gates[1:])
    assert f"({tokens[0]} tokens)" in run("inspect", str(tmp_path / "run")).out


def test_too_few_tokens_share_and_say_so(make_deck, tmp_path):
    result = quantize(make_deck(1), tmp_path / "run", KEEP)
    layers = experts_of(tmp_path / "run")
    poor = {name: attributes["expert_tokens"] for name, (attributes, _) in layers.items() if attributes["shared_statistics"]}
    rich = [name for name in layers if name not in poor]
    assert poor and all(layers[name][0]["expert_tokens"] >= (20 if name.endswith("w2") else 32) for name in rich)
    shared = [layers[name][1] for name in poor if name.endswith("w1")]
    assert all(np.array_equal(shared[0], other) for other in shared)  # of all experts together
    for name, tokens in poor.items():
        assert f"block 0, {name}: only {tokens} tokens for" in result.err, name


def test_solved_again_from_stored_statistics(make_deck, tmp_path):
    deck, plain = make_deck(12), {**KEEP, "quant.drift": "none"}
    quantize(deck, tmp_path / "run", plain)
    result = run(*quantize_arguments(deck, tmp_path / "again", {"quant.drift": "none"}), "--from-statistics", tmp_path / "run")
    assert result.code == 0, result
    with h5py.File(tmp_path / "run/blocks/0001.h5") as first, h5py.File(tmp_path / "again/blocks/0001.h5") as again:
        for name in first:
            assert (first[name]["codes"][:] == again[name]["codes"][:]).all(), name


def test_devices_refuse(make_deck, tmp_path):
    assert_refused(run(*quantize_arguments(make_deck(2), tmp_path / "run", {"run.device": "cuda"})), 2, "cuda")
