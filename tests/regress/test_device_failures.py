# SPDX-License-Identifier: Apache-2.0
"""`device: cuda` where the device cannot be had or fails on the way: one sentence, the documented exit code, finished blocks kept.
On the emulated device of the tests, which can be told to fail."""

import os
import signal
import time

import h5py
import numpy as np
import pytest

import program
from inputs import write_deck, write_tokens
from program import ROOT, assert_refused, finish, quantize_arguments, ranks_of, start, wait_for
from test_device_runs import DEVICE_PROGRAM
from test_ranks import assert_equal

FAST = {"run.device": "cuda", "quant.method": "gptq", "quant.grid": "minmax", "quant.refine_passes": 0}
ECC, LAUNCH_FAILURE = 214, 719

pytestmark = pytest.mark.skipif("emulated" not in DEVICE_PROGRAM.name or not DEVICE_PROGRAM.exists(), reason="no emulated device")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Two blocks of odd sizes and a few hundred tokens: emulated threads are slow."""
    folder = tmp_path_factory.mktemp("tiny")
    tokens = write_tokens(folder / "c.tokens.h5", np.random.default_rng(7).integers(0, 97, (5, 40)), vocab_size=np.int64(97))
    return write_deck(folder / "deck.yaml", ROOT / "tests" / "oracle" / "llama_gqa", tokens, sequences=5)


def start_on_device(deck, folder, *flags, settings=(), ranks=1, **variables):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "PROGRAM", DEVICE_PROGRAM)
        patch.setitem(program.ENVIRONMENT, "OMP_WAIT_POLICY", "passive")
        for name, value in {"DEVICES": ranks, **variables}.items():
            patch.setitem(program.ENVIRONMENT, f"CONSTRICTOR_EMULATED_{name}", str(value))
        return start(*quantize_arguments(deck, folder, {**FAST, **dict(settings)}), *flags, ranks=ranks)


def on_device(*arguments, **options):
    """A run on the emulated device, without what the emulation itself says."""
    result = finish(start_on_device(*arguments, **options), timeout=280)
    result.err = "".join(line for line in result.err.splitlines(True) if not line.startswith("emulated CUDA: "))
    return result


@pytest.mark.parametrize("variables, words", [
    ({"DRIVER": 0}, ("there is no NVIDIA driver",)),
    ({"DRIVER": 12040}, ("the driver knows CUDA 12.4", "needs 13.")),
    ({"DEVICES": 0}, ("no device is visible", "CUDA_VISIBLE_DEVICES")),
])
def test_no_usable_device_is_refused_before_anything_is_written(tiny, tmp_path, variables, words):
    assert_refused(on_device(tiny, tmp_path / "run", **variables), 2, "run.device: cuda: ", "--set run.device=cpu", *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ranks, devices, words", [
    (3, 2, ("more ranks than devices on this node: 2 visible",)),
    (2, 1, ("ranks 0 and 1 on ", "share one device", "slurm/bind_gpu.sh")),
])
def test_two_ranks_never_share_a_device(tiny, tmp_path, ranks, devices, words):
    result = on_device(tiny, tmp_path / "run", ranks=ranks, DEVICES=devices)
    assert_refused(result, 2, "run.device: cuda: ", "--set run.device=cpu", *words)
    assert not (tmp_path / "run").exists()


def test_too_little_memory_is_predicted(tiny, tmp_path):
    result = on_device(tiny, tmp_path / "run", MEMORY=200 << 20)
    assert_refused(result, 3, "not enough device memory: ", "are free on Emulated device", "--force")
    assert not (tmp_path / "run").exists()


def test_exhausted_memory_names_what_it_was_for(tiny, tmp_path):
    beside_workspaces = 120 << 10  # of cuBLAS, 64 MiB
    result = on_device(tiny, tmp_path / "run", "--force", MEMORY=(64 << 20) + beside_workspaces)
    assert_refused(result, 3, "out of device memory: ", " for ", "run.reduction: fast", "quant.value_hessian: input")


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    result = on_device(tiny, folder)
    assert result.code == 0 and result.complaints == [], result
    return folder


@pytest.mark.parametrize("code, words", [
    (ECC, ("uncorrectable ECC error", "nvidia-smi -q -d ECC")),
    (LAUNCH_FAILURE, ("unspecified launch failure", "compute-sanitizer")),
])
def test_a_device_that_fails_costs_the_block_in_work_only(tiny, undisturbed, tmp_path, code, words):
    launches = 10  # of the column sweep; a block takes seven
    result = on_device(tiny, tmp_path / "run", FAULT=f"launch:column_sweep:{launches}:{code}")
    assert_refused(result, 1, "the last kernel queued was column_sweep on stream main", "on device 0", *words)
    assert [path.name for path in sorted((tmp_path / "run" / "blocks").iterdir())] == ["0000.h5"]
    finished = on_device(tiny, tmp_path / "run")
    assert finished.code == 0, finished
    assert_equal(undisturbed, tmp_path / "run")


def test_a_rank_that_dies_ends_all(tiny, undisturbed, tmp_path):
    process = start_on_device(tiny, tmp_path / "run", ranks=2)
    wait_for((tmp_path / "run" / "blocks" / "0000.h5").exists, process, seconds=200)
    os.kill(ranks_of(process)[-1], signal.SIGKILL)
    start_of_end = time.monotonic()
    assert finish(process, timeout=60).code != 0
    assert time.monotonic() - start_of_end < 30
    assert on_device(tiny, tmp_path / "run").code == 0
    assert_equal(undisturbed, tmp_path / "run")


def bytes_in(line):
    number, unit = line.split()[-2:]
    return float(number) * {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]


def test_predicted_memory_holds(tiny, tmp_path):
    """Against the peak of the pool, which knows nothing of the libraries' own memory."""
    settings = {"quant.method": "turboboa", "quant.grid": "hessian"}
    text = on_device(tiny, tmp_path / "run", "--dry-run", settings=settings).out
    table = text[text.index("memory of one device"):].split("\ntogether")[0].splitlines()[2:]
    in_pool = sum(bytes_in(line) for line in table if not line.startswith("libraries"))
    assert on_device(tiny, tmp_path / "run", settings=settings).code == 0
    peaks = []
    for path in sorted((tmp_path / "run" / "blocks").iterdir()):
        with h5py.File(path) as file:
            peaks.append(file.attrs["peak_device_memory_bytes"])
    assert max(peaks) <= in_pool <= 3 * max(peaks), (table, peaks)
