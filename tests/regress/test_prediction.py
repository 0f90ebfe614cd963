# SPDX-License-Identifier: Apache-2.0
"""What --dry-run predicts, held against what runs take: memory of the fullest rank and disk within 20 %."""

import os
import re
import sys
from pathlib import Path

import h5py
import pytest

from inputs import demo_tokens, write_deck
from program import quantize_arguments, run, start

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from random_model import Shape, write_model, write_tokens  # noqa: E402

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
TOLERANCE = 0.2


def predicted(deck, settings, ranks):
    """(bytes of a rank, bytes on disk)"""
    text = run(*quantize_arguments(deck, None, settings), "--dry-run", ranks=ranks).out
    found = [re.search(pattern, text, re.M).groups() for pattern in (r"^together +([\d.]+) (\w+)", r"^disk +([\d.]+) (\w+)")]
    assert "GFLOP/s" in text  # the time stands there too; a busy machine is no place to test it
    return [float(number) * UNITS[unit] for number, unit in found]


def measured(deck, run_dir, settings, ranks):
    """(largest resident bytes of a rank, by the kernel; the same by the block files; bytes on disk)"""
    process = start(*quantize_arguments(deck, run_dir, settings), ranks=ranks)
    words = process.stdout.read() + process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    recorded = 0
    for path in (run_dir / "blocks").glob("*.h5"):
        with h5py.File(path) as file:
            recorded = max(recorded, int(file.attrs["peak_memory_bytes"]))
    return usage.ru_maxrss * 1024, recorded, sum(path.stat().st_size for path in run_dir.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def demo_deck(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("demo")
    return write_deck(folder / "deck.yaml", model, demo_tokens("calibration"), demo_tokens("evaluation"), sequences=64)


@pytest.fixture(scope="module")
def wide_deck(tmp_path_factory):
    """Matrices large enough to matter beside the program itself; codes large enough to be deflated."""
    folder = tmp_path_factory.mktemp("wide")
    shape = Shape(hidden=640, blocks=2, heads=10, kv_heads=2, head_dim=64, feed_forward=1728, vocabulary=512)
    tokens = write_tokens(folder / "random.tokens.h5", 16, 128, shape.vocabulary)
    return write_deck(folder / "deck.yaml", write_model(folder / "model", shape), tokens, sequences=16)


@pytest.mark.parametrize("name, ranks, settings", [
    ("demo_deck", 1, {}),
    ("demo_deck", 2, {"evaluation.tokens": "[]", "quant.method": "gptq"}),
    ("wide_deck", 1, {"quant.grid": "minmax"}),
    ("wide_deck", 2, {"quant.grid": "minmax", "quant.method": "gptq", "run.products": "float32"}),
])
def test_memory_and_disk_are_as_predicted(name, ranks, settings, request, tmp_path):
    deck = request.getfixturevalue(name)
    memory, disk = predicted(deck, settings, ranks)
    peak, recorded, stored = measured(deck, tmp_path / "run", settings, ranks)
    assert memory == pytest.approx(peak, rel=TOLERANCE)
    assert recorded <= peak  # evaluation comes after the last block
    if settings.get("evaluation.tokens") or name == "wide_deck":
        assert recorded == pytest.approx(peak, rel=0.05)
    assert disk == pytest.approx(stored, rel=TOLERANCE)
