# SPDX-License-Identifier: Apache-2.0
"""`device: cuda` where it cannot be had or fails on the way, and `device: cpu`, which every binary knows; run with the CUDA build by
`make test-cuda`. What a device does when it is there is tested on an emulated one (tests/emulation), which can be told to fail."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.compare_runs import differences
from inputs import write_deck, write_tokens
from program import JARGON, ROOT, assert_refused, quantize, quantize_arguments, run

EMULATED = Path(os.environ.get("CONSTRICTOR_EMULATED_PROGRAM", ROOT / "build" / "tests" / "emulation" / "constrictor_on_emulated_device"))
FAST = {"run.device": "cuda", "quant.method": "gptq", "quant.grid": "minmax", "quant.refine_passes": 0}
ECC, LAUNCH_FAILURE = 214, 719


def test_cuda_that_cannot_be_had_is_refused(deck, tmp_path):
    result = run(*quantize_arguments(deck, tmp_path / "run", {"run.device": "cuda"}))
    assert_refused(result, 2, "run.device: cuda: ", "run.device=cpu")
    assert not (tmp_path / "run").exists()


def test_cpu_always_works(deck, tmp_path):
    quantize(deck, tmp_path / "run", {"run.device": "cpu", "quant.method": "rtn"})
    assert (tmp_path / "run" / "run.h5").exists()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Two blocks of odd sizes and a few hundred tokens: emulated threads are slow."""
    if not EMULATED.exists():
        pytest.skip("no emulated device in this build")
    folder = tmp_path_factory.mktemp("tiny")
    tokens = write_tokens(folder / "c.tokens.h5", np.random.default_rng(7).integers(0, 97, (5, 40)), vocab_size=np.int64(97))
    return write_deck(folder / "deck.yaml", ROOT / "tests" / "oracle" / "llama_gqa", tokens, sequences=5)


def on_device(deck, folder, settings=(), ranks=1, force=False, **variables):
    """A run on the emulated device, without what the emulation itself says."""
    words = [*quantize_arguments(deck, folder, {**FAST, **dict(settings)}), *(["--force"] if force else [])]
    emulated = {f"CONSTRICTOR_EMULATED_{name}": str(value) for name, value in {"DEVICES": ranks, **variables}.items()}
    result = run(*words, ranks=ranks, timeout=280, program=EMULATED, OMP_WAIT_POLICY="passive", **emulated)
    result.err = "".join(line for line in result.err.splitlines(True) if not line.startswith("emulated CUDA: "))
    return result


def assert_one_sentence(result, code, *words):
    assert result.code == code, result
    assert len(result.complaints) == 1 and result.complaints[0].startswith("constrictor: "), result.err
    for word in words:
        assert word in result.complaints[0], (word, result.complaints[0])
    assert [word for word in JARGON if word in result.complaints[0]] == []


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    result = on_device(tiny, folder)
    assert result.code == 0 and result.complaints == [], result
    return folder


def assert_equal(a, b):
    counts = dict.fromkeys(("files", "groups", "datasets"), 0)
    assert list(differences(a, b, counts)) == [] and counts["datasets"] > 10


@pytest.mark.parametrize("variables, words", [
    ({"DRIVER": 0}, ("there is no NVIDIA driver",)),
    ({"DRIVER": 12040}, ("the driver knows CUDA 12.4", "needs 13.")),
    ({"DEVICES": 0}, ("no device is visible", "CUDA_VISIBLE_DEVICES")),
])
def test_no_usable_device_is_refused_before_anything_is_written(tiny, tmp_path, variables, words):
    assert_one_sentence(on_device(tiny, tmp_path / "run", **variables), 2, "run.device: cuda: ", "--set run.device=cpu", *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ranks, devices, words", [
    (3, 2, ("more ranks than devices on this node: 2 visible",)),
    (2, 1, ("ranks 0 and 1 on ", "share one device", "slurm/bind_gpu.sh")),
])
def test_two_ranks_never_share_a_device(tiny, tmp_path, ranks, devices, words):
    assert_one_sentence(on_device(tiny, tmp_path / "run", ranks=ranks, DEVICES=devices), 2, "run.device: cuda: ", "--set run.device=cpu",
                        *words)
    assert not (tmp_path / "run").exists()


def test_too_little_memory_is_predicted(tiny, tmp_path):
    result = on_device(tiny, tmp_path / "run", MEMORY=200 << 20)
    assert_one_sentence(result, 3, "not enough device memory: ", "are free on Emulated device", "--force")
    assert not (tmp_path / "run").exists()


def test_exhausted_memory_names_what_it_was_for(tiny, tmp_path):
    result = on_device(tiny, tmp_path / "run", force=True, MEMORY=(64 << 20) + (120 << 10))  # beside the workspaces of cuBLAS
    assert_one_sentence(result, 3, "out of device memory: ", " for ", "run.reduction: fast", "quant.value_hessian: input")


@pytest.mark.parametrize("kernel, code, words", [
    ("column_sweep", ECC, ("uncorrectable ECC error", "nvidia-smi -q -d ECC")),
    ("column_sweep", LAUNCH_FAILURE, ("unspecified launch failure", "compute-sanitizer")),
])
def test_a_device_that_fails_costs_the_block_in_work_only(tiny, undisturbed, tmp_path, kernel, code, words):
    launches = 10  # of the column sweep; a block takes seven
    result = on_device(tiny, tmp_path / "run", FAULT=f"launch:{kernel}:{launches}:{code}")
    assert_one_sentence(result, 1, f"the last kernel queued was {kernel} on stream main", "on device 0", *words)
    assert [path.name for path in sorted((tmp_path / "run" / "blocks").iterdir())] == ["0000.h5"]
    finished = on_device(tiny, tmp_path / "run")
    assert finished.code == 0, finished
    assert_equal(undisturbed, tmp_path / "run")


def test_ranks_do_not_change_a_bit(tiny, undisturbed, tmp_path):
    result = on_device(tiny, tmp_path / "run", ranks=2)
    assert result.code == 0, result
    assert_equal(undisturbed, tmp_path / "run")


def bytes_in(line):
    number, unit = line.split()[-2:]
    return float(number) * {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]


def test_predicted_memory_holds(tiny, tmp_path):
    """Against the peak of the pool, which knows nothing of the libraries' own memory."""
    settings = {"quant.method": "turboboa", "quant.grid": "hessian"}
    text = run(*quantize_arguments(tiny, tmp_path / "run", {**FAST, **settings}), "--dry-run", program=EMULATED).out
    table = text[text.index("memory of one device"):].split("\ntogether")[0].splitlines()[2:]
    in_pool = sum(bytes_in(line) for line in table if not line.startswith("libraries"))
    assert on_device(tiny, tmp_path / "run", settings).code == 0
    peaks = []
    for path in sorted((tmp_path / "run" / "blocks").iterdir()):
        with h5py.File(path) as file:
            peaks.append(file.attrs["peak_device_memory_bytes"])
    assert max(peaks) <= in_pool <= 3 * max(peaks), (table, peaks)
