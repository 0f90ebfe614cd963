# SPDX-License-Identifier: Apache-2.0
"""Killed, preempted or started twice: running it again ends with the same bits."""

import json
import os
import shutil
import signal
import time

import h5py
import pytest

from inputs import demo_tokens, short_tokens
from program import assert_refused, finish, kill_all, quantize, quantize_arguments, ranks_of, run, start, wait_for
from test_ranks import assert_equal

BLOCKS = 4


@pytest.fixture(scope="module")
def undisturbed(deck, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    quantize(deck, run_dir)
    return run_dir


def block_path(run_dir, block):
    return run_dir / "blocks" / f"{block:04d}.h5"


def start_run(deck, run_dir, ranks=1, **settings):
    return start(*quantize_arguments(deck, run_dir, settings), ranks=ranks)


def blocks_of(run_dir):
    return len(list((run_dir / "blocks").glob("*.h5")))


def state_of(run_dir):
    return json.loads((run_dir / "state.json").read_text())


def assert_nothing_left_over(run_dir):
    assert list(run_dir.rglob("*.partial")) == []
    assert not (run_dir / "run.lock").exists()


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("ranks", (1, 2))
@pytest.mark.parametrize("block", range(BLOCKS))
def test_killed_after_every_block(deck, undisturbed, tmp_path, block, ranks):
    run_dir = tmp_path / "run"
    process = start_run(deck, run_dir, ranks)
    wait_for(block_path(run_dir, block).exists, process)
    kill_all(process)
    finish(process)
    assert (run_dir / "run.lock").exists(), "it ended before it was killed"
    assert block < blocks_of(run_dir) <= block + 2
    for name in ("run.h5", "state.json", "blocks/0003.h5"):  # what a kill in the middle of writing leaves
        (run_dir / f"{name}.partial").write_bytes(b"half")
    before = {path: path.stat().st_ino for path in (run_dir / "blocks").glob("*.h5")}
    again = quantize(deck, run_dir, ranks=3 - ranks)
    assert "taken over from process" in again.err and "which is dead" in again.err
    assert (f"resuming: {len(before)} of 4 blocks" if len(before) < BLOCKS else "all 4 blocks are finished") in again.out
    assert {path: path.stat().st_ino for path in before} == before, "a finished block was written again"
    assert_nothing_left_over(run_dir)
    assert_equal(undisturbed, run_dir)


def test_going_on_with_another_processor_is_said(deck, undisturbed, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(undisturbed, run_dir)
    block_path(run_dir, 3).unlink()
    with h5py.File(run_dir / "run.h5", "a") as file:
        file.attrs["device"] = "Abacus, 7 cores"
    assert "3 finished blocks were made on Abacus, 7 cores, the others will be on" in quantize(deck, run_dir).err
    assert_equal(undisturbed, run_dir)


def test_a_finished_run_does_nothing_and_prints_its_table(deck, tmp_path):
    run_dir = tmp_path / "run"
    first = quantize(deck, run_dir)
    files = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (run_dir / "blocks").iterdir()}
    second = quantize(deck, run_dir, ranks=2)
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (run_dir / "blocks").iterdir()} == files
    assert "all 4 blocks are finished" in second.out

    def table(result):
        lines = result.out.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("text "))
        return lines[at:at + 3]
    assert table(first) == table(second)


@pytest.mark.parametrize("number", (signal.SIGUSR1, signal.SIGTERM))
@pytest.mark.parametrize("ranks", (1, 2))
def test_preempted_by_a_signal(deck, undisturbed, tmp_path, number, ranks):
    """mpirun forwards SIGUSR1; on SIGTERM it ends its ranks itself, so that signal goes to a rank here."""
    run_dir = tmp_path / "run"
    process = start_run(deck, run_dir, ranks)
    wait_for(block_path(run_dir, 0).exists, process)
    os.kill(process.pid if ranks == 1 or number == signal.SIGUSR1 else ranks_of(process)[1], number)
    assert_refused(finish(process), 75, signal.Signals(number).name, "run the same command again")
    assert state_of(run_dir)["state"] == "preempted"
    assert 1 <= state_of(run_dir)["blocks_done"] == blocks_of(run_dir) <= BLOCKS
    assert_nothing_left_over(run_dir)
    quantize(deck, run_dir)
    assert state_of(run_dir)["state"] == "done"
    assert_equal(undisturbed, run_dir)


def test_all_ranks_end_when_one_is_killed(deck, tmp_path):
    process = start_run(deck, tmp_path / "run", 3)
    wait_for(block_path(tmp_path / "run", 0).exists, process)
    ranks = ranks_of(process)
    assert len(ranks) == 3
    os.kill(ranks[1], signal.SIGKILL)
    killed = time.monotonic()
    assert finish(process, timeout=20).code != 0
    while any(map(is_alive, ranks)):
        assert time.monotonic() - killed < 10
        time.sleep(0.05)
    assert time.monotonic() - killed < 10


def test_a_second_process_is_refused_by_name(deck, undisturbed, tmp_path):
    run_dir = tmp_path / "run"
    first = start_run(deck, run_dir)
    wait_for((run_dir / "run.lock").exists, first)
    os.kill(first.pid, signal.SIGSTOP)  # however fast the first one is
    try:
        for ranks in (1, 2):
            refused = run(*quantize_arguments(deck, run_dir, {}), ranks=ranks)
            assert_refused(refused, 2, run_dir, f"process {first.pid} on {os.uname().nodename}")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert finish(first).code == 0
    assert_equal(undisturbed, run_dir)


def test_other_tokens_are_refused(deck, undisturbed, tmp_path):
    others = short_tokens(demo_tokens("evaluation"), tmp_path / "others.tokens.h5", 20, 64)
    result = run(*quantize_arguments(deck, undisturbed, {"calibration.tokens": others}))
    assert_refused(result, 2, undisturbed, "belongs to another run")
    assert_nothing_left_over(undisturbed)
