# SPDX-License-Identifier: Apache-2.0
"""Whole runs with `device: cuda`, on the emulated device of the tests (or a real one in a CUDA build), against the host's."""

import os
import signal
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

import program
from inputs import copied_model, edit_tensor, write_deck, write_tokens
from program import assert_refused, finish, kill_all, quantize, quantize_arguments, run, start, wait_for
from test_ranks import KEEP, assert_equal

DEVICE_PROGRAM = Path(os.environ.get("CONSTRICTOR_DEVICE_PROGRAM", program.ROOT / "build/tests/emulation/constrictor_on_emulated_device"))
CUDA = {"run.device": "cuda"}
FLOAT32 = {"run.products": "float32"}


def has_device():
    if not DEVICE_PROGRAM.exists():
        return False
    version = subprocess.run([DEVICE_PROGRAM, "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
    return "1 device" in version or "devices" in version and "0 devices" not in version


pytestmark = pytest.mark.skipif(not has_device(), reason="no device, real or emulated, for this build")


@pytest.fixture(autouse=True)
def on_the_device_program(monkeypatch):
    """Everything here runs the program that has a device; on it `device: cpu` is the host as ever."""
    monkeypatch.setattr(program, "PROGRAM", DEVICE_PROGRAM)
    monkeypatch.setitem(program.ENVIRONMENT, "CONSTRICTOR_EMULATED_DEVICES", "4")
    monkeypatch.setitem(program.ENVIRONMENT, "OMP_WAIT_POLICY", "passive")


def small_deck(folder, family, sequences=20):
    """A Transformers model of two small blocks of odd sizes, random tokens."""
    ids = np.random.default_rng(7).integers(0, 97, (sequences + 4, 40))
    tokens = write_tokens(folder / "c.tokens.h5", ids[:sequences], vocab_size=np.int64(97))
    heldout = write_tokens(folder / "e.tokens.h5", ids[sequences:], vocab_size=np.int64(97))
    return write_deck(folder / "deck.yaml", program.ROOT / "tests" / "oracle" / family, tokens, heldout, sequences=sequences)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_deck(tmp_path_factory.mktemp("small"), "llama_gqa")


def device_quantize(deck, run_dir, settings=None, ranks=1):
    return quantize(deck, run_dir, {**CUDA, **(settings or {})}, ranks=ranks, timeout=280)


@pytest.fixture(scope="module")
def undisturbed(small, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("device") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "PROGRAM", DEVICE_PROGRAM)
        patch.setitem(program.ENVIRONMENT, "OMP_WAIT_POLICY", "passive")
        device_quantize(small, run_dir, KEEP)
    return run_dir


def layers(run_dir, block):
    with h5py.File(run_dir / "blocks" / f"{block:04d}.h5") as file:
        return {name: (group["codes"][:], group.attrs["loss_after"] / group.attrs["loss_scale"], group.attrs["loss_scale"])
                for name, group in file.items()}


def scores(run_dir):
    with h5py.File(run_dir / "run.h5") as file:
        (group,) = file["evaluation"].values()
        return dict(group.attrs)


@pytest.mark.parametrize("products", ("float32", "bfloat16"))
def test_the_demo_model_as_on_the_host(deck, tmp_path, products):
    """With bfloat16, queries, keys and probabilities are rounded too on the device, not on the host."""
    settings = {"run.products": products, "calibration.sequences": 6}
    quantize(deck, tmp_path / "host", settings, timeout=120)
    device_quantize(deck, tmp_path / "device", settings)
    near = 0.005 if products == "float32" else 0.02
    host, device = layers(tmp_path / "host", 0), layers(tmp_path / "device", 0)
    assert host.keys() == device.keys()
    for name, (codes, loss, scale) in host.items():
        # A tie that falls the other way moves later columns of the row; rounded statistics bring more of them.
        assert (codes == device[name][0]).mean() > (0.98 if products == "float32" else 0.9), name
        assert abs(device[name][1] / loss - 1) < near, name
        assert abs(device[name][2] / scale - 1) < near, name
    for block in range(1, 4):  # reached through quantized blocks that differ in a few codes
        losses = [np.mean([loss for _, loss, _ in layers(tmp_path / side, block).values()]) for side in ("host", "device")]
        assert abs(losses[1] / losses[0] - 1) < 0.05, block
    a, b = scores(tmp_path / "host"), scores(tmp_path / "device")
    assert abs(b["full_perplexity"] / a["full_perplexity"] - 1) < (1e-5 if products == "float32" else 0.005)
    assert abs(b["perplexity"] / a["perplexity"] - 1) < 0.1


@pytest.mark.parametrize("family, gather", [*((family, "block") for family in ("llama_gqa", "llama_linear", "llama_bias", "opt_before", "opt_after",
                                                                               "mistral", "qwen2", "qwen3", "gemma2", "gemma3")),
                                            ("llama_gqa", "sublayer"), ("opt_after", "sublayer")])
def test_every_family_as_on_the_host(tmp_path, family, gather):
    deck = small_deck(tmp_path, family, sequences=5)
    settings = {"run.products": "float32", "quant.gather": gather}
    quantize(deck, tmp_path / "host", settings)
    device_quantize(deck, tmp_path / "device", settings)
    for name, (codes, loss, scale) in layers(tmp_path / "host", 0).items():
        device = layers(tmp_path / "device", 0)[name]
        assert (codes == device[0]).mean() > 0.95, name
        assert abs(device[1] / loss - 1) < 0.01 and abs(device[2] / scale - 1) < 1e-4, name
    a, b = scores(tmp_path / "host"), scores(tmp_path / "device")
    assert abs(b["full_perplexity"] / a["full_perplexity"] - 1) < 1e-5


@pytest.mark.parametrize("ranks", (2, 3))
def test_the_same_bits_on_any_number_of_devices(small, undisturbed, tmp_path, ranks):
    device_quantize(small, tmp_path / "run", KEEP, ranks=ranks)
    assert_equal(undisturbed, tmp_path / "run")


def test_by_sublayer_with_what_is_kept_on_two_devices(small, tmp_path):
    settings = {**KEEP, "quant.gather": "sublayer"}
    device_quantize(small, tmp_path / "one", settings)
    device_quantize(small, tmp_path / "two", settings, ranks=2)
    assert_equal(tmp_path / "one", tmp_path / "two")


def test_fast_reduction(small, undisturbed, tmp_path):
    device_quantize(small, tmp_path / "run", {"run.reduction": "fast", "evaluation.tokens": "[]"}, ranks=2)
    for name, (codes, loss, _) in layers(tmp_path / "run", 0).items():
        exact = layers(undisturbed, 0)[name]
        assert (codes == exact[0]).mean() > 0.9, name
        assert abs(loss / exact[1] - 1) < 0.02, name


def test_killed_and_resumed(small, undisturbed, tmp_path):
    run_dir = tmp_path / "run"
    process = start(*quantize_arguments(small, run_dir, {**CUDA, **KEEP}))
    wait_for((run_dir / "blocks" / "0000.h5").exists, process, seconds=200)
    kill_all(process)
    finish(process)
    again = device_quantize(small, run_dir, KEEP, ranks=2)
    assert "are finished" in again.out
    assert_equal(undisturbed, run_dir)


def test_preempted(small, tmp_path):
    run_dir = tmp_path / "run"
    process = start(*quantize_arguments(small, run_dir, CUDA))
    wait_for((run_dir / "blocks" / "0000.h5").exists, process, seconds=200)
    os.kill(process.pid, signal.SIGUSR1)
    assert_refused(finish(process, timeout=120), 75, "SIGUSR1", "run the same command again")
    assert not list(run_dir.rglob("*.partial"))


def test_overflow_reads_as_on_the_host(tmp_path, small):
    broken = copied_model(program.ROOT / "tests" / "oracle" / "llama_linear", tmp_path / "model")

    def enlarge(values):
        values *= 1e30
    edit_tensor(broken, "model.layers.1.mlp.up_proj.weight", enlarge)
    edit_tensor(broken, "model.layers.1.mlp.gate_proj.weight", enlarge)
    words = []
    for device in ("cpu", "cuda"):
        result = run(*quantize_arguments(small, tmp_path / device, {"model.path": broken, "run.device": device}), timeout=200)
        assert_refused(result, 4, "block 1", "NaN or Inf", "calibration sequence 0")
        assert [path.name for path in (tmp_path / device / "blocks").iterdir()] == ["0000.h5"]
        words.append(result.complaints[0])
    assert words[0] == words[1]


def test_stored_statistics_and_the_other_methods(small, undisturbed, tmp_path):
    for method in ("gptq", "rtn"):
        for device in ("cpu", "cuda"):
            run_from(small, undisturbed, tmp_path / f"{method}-{device}", method, device)
        host, device = layers(tmp_path / f"{method}-cpu", 1), layers(tmp_path / f"{method}-cuda", 1)
        for name, (codes, loss, _) in host.items():
            assert (codes == device[name][0]).mean() > 0.98, (method, name)
            assert abs(device[name][1] / loss - 1) < 0.005, (method, name)


def run_from(deck, kept, run_dir, method, device):
    result = run(*quantize_arguments(deck, run_dir, {"quant.method": method, "run.device": device}), "--from-statistics", kept, timeout=200)
    assert result.code == 0, result
