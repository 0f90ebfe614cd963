# SPDX-License-Identifier: Apache-2.0
"""Sweeps on file systems and hosts that misbehave, and runs that fail."""

import json
import os
import shutil
import threading
import time

import h5py
import pytest

from program import ENVIRONMENT, assert_refused, run
from sweeps import (assert_complete, lying_library, plan, state_of, sweep_arguments, work, write_sweep)
from test_full_disk import small_disk  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def undisturbed(deck, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    work(write_sweep(folder / "sweep.yaml", deck), "-j", "2")
    return folder / "runs"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    found = lying_library(tmp_path_factory.mktemp("library"))
    return found or pytest.skip("no C compiler")


def assert_failed(result, runs, words):
    """One run failed, and the worker says so after all the others."""
    assert result.code == 1 and result.complaints[-1].startswith("constrictor: 1 run failed"), result
    assert words in result.out


def test_a_run_folder_of_another_schema(deck, undisturbed, tmp_path):
    """It is left as it is; the others are done; status says why; retry does it once the folder is out of the way."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    runs, out = plan(sweep), tmp_path / "runs"
    shutil.copytree(undisturbed / runs[1]["run_id"], out / runs[1]["run_id"])
    with h5py.File(out / runs[1]["run_id"] / "run.h5", "r+") as file:
        file.attrs["schema"] = 2
    (out / runs[1]["run_id"] / "state.json").unlink()
    assert_failed(run(*sweep_arguments(sweep, "-j", "2"), timeout=120), runs, "run.h5")
    status = run("status", sweep).out
    assert "done         3, running 0, waiting 0, failed 1" in status and "schema" in status, status
    assert "0 runs finished here" in work(sweep).out, "a failed run waits for retry"
    shutil.rmtree(out / runs[1]["run_id"] / "blocks")
    (out / runs[1]["run_id"] / "run.h5").unlink()
    (out / runs[1]["run_id"] / "log.jsonl").unlink()
    assert "1 run that failed may run again" in run("retry", sweep, "--failed").out
    work(sweep)
    assert_complete(runs, out, undisturbed)


def test_a_state_file_of_another_schema(deck, tmp_path):
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, axes="\n  - {key: quant.bits, values: [2]}\n")
    folder = tmp_path / "runs" / plan(sweep)[0]["run_id"]
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"schema": 7, "state": "done"}')
    assert "is of schema 7" in run("status", sweep).out
    assert "0 runs finished here" in work(sweep).out
    run("retry", sweep, "--failed")
    assert json.loads((folder / "state.json").read_text())["schema"] == 7


def test_a_run_that_fails_by_itself(deck, tmp_path):
    """Too little memory is predicted, in words of the run itself, before it has a state."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, axes="\n  - {key: run.lanes, values: [16, 1]}\n")
    launcher = tmp_path / "launcher"
    launcher.write_text("#!/bin/sh\ncase $(cat $3) in *'lanes: 1 '*) echo 'constrictor: not enough memory' >&2; exit 3;; "
                        "esac\nexec \"$@\"\n")
    launcher.chmod(0o755)
    assert_failed(run("sweep", sweep, "--launcher", launcher), plan(sweep), "not enough memory")
    failed = state_of(tmp_path / "runs" / plan(sweep)[1]["run_id"])
    assert (failed["state"], failed["words"]) == ("failed", "not enough memory")
    assert "not enough memory" in run("status", sweep).out


def test_a_run_that_is_always_killed(deck, tmp_path):
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, axes="\n  - {key: quant.bits, values: [2]}\n")
    launcher = tmp_path / "launcher"
    launcher.write_text(f"#!/bin/sh\necho x >> {tmp_path}/count\nkill -9 $$\n")
    launcher.chmod(0o755)
    assert_failed(run("sweep", sweep, "--launcher", launcher), plan(sweep), "killed by signal 9")
    assert (tmp_path / "count").read_text() == "x\n" * 3, "three attempts"


@pytest.mark.parametrize("launcher, words", (("/no/such", "cannot start /no/such"), ("false", "ended with exit code 1")))
def test_a_launcher_that_starts_nothing(deck, tmp_path, launcher, words):
    """No run is blamed for it."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    assert_refused(run("sweep", sweep, "--launcher", launcher), 2, "no run can be started here", words)
    assert "waiting 4, failed 0" in run("status", sweep).out


def test_the_disk_fills_up(deck, undisturbed, small_disk, tmp_path):  # noqa: F811
    disk = small_disk("size=1500k")
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, out=disk / "runs")
    assert_refused(run(*sweep_arguments(sweep), timeout=120), 5, disk, "No space left on device")
    assert "running 0" in run("status", sweep).out and "failed 0" in run("status", sweep).out
    small_disk("remount,size=32m")
    work(sweep)
    assert_complete(plan(sweep), disk / "runs", undisturbed)


def test_a_disk_that_may_not_be_written(deck, small_disk, tmp_path):  # noqa: F811
    disk = small_disk("size=8m,ro")
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, out=disk / "runs")
    assert_refused(run(*sweep_arguments(sweep)), 5, disk / "runs", "Read-only file system")
    assert run("status", sweep).code == 0


@pytest.mark.parametrize("place, count", (("/blocks/", 3), ("/claims/", 2), ("state.json", 2), ("run.h5", 9)))
def test_writes_that_fail(deck, undisturbed, library, tmp_path, monkeypatch, place, count):
    """Input/output errors from the `count`-th write to such files on, in the worker and in its runs."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    with monkeypatch.context() as lies:
        for name, value in (("LD_PRELOAD", library), ("EIO_PATH", place), ("EIO_AFTER", count)):
            lies.setitem(ENVIRONMENT, name, str(value))
        result = run(*sweep_arguments(sweep), timeout=120)
    assert_refused(result, 5, tmp_path / "runs", "Input/output error")
    work(sweep, "-j", "2")
    assert_complete(plan(sweep), tmp_path / "runs", undisturbed)


def other_hosts_claim(sweep):
    """The first run of a sweep is in the hands of a process on another host: its claim's path."""
    path = sweep.parent / "runs" / "claims" / f"{plan(sweep)[0]['run_id']}.1"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "process_start": "1", "job": "4711_2", "since": ""}))
    return path


@pytest.mark.parametrize("shift", (-600, 0, 600))
def test_clocks_that_disagree_by_minutes(deck, library, tmp_path, monkeypatch, shift):
    """A living worker elsewhere keeps its run; when its heartbeat ends, the run is taken over. Clocks do not matter."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck, axes="\n  - {key: quant.bits, values: [2, 3]}\n")
    claim, stop = other_hosts_claim(sweep), threading.Event()
    monkeypatch.setitem(ENVIRONMENT, "LD_PRELOAD", str(library))
    monkeypatch.setitem(ENVIRONMENT, "CLOCK_SHIFT", str(shift))

    def heartbeat():
        while not stop.wait(0.1):
            os.utime(claim)
    heart = threading.Thread(target=heartbeat)
    heart.start()
    try:
        assert "1 runs finished here" in work(sweep, "--dead-after", "6").out
        assert "running 1" in run("status", sweep).out and "job 4711_2" in run("status", sweep).out
    finally:
        stop.set()
        heart.join()
    begin = time.monotonic()
    time.sleep(2)  # four heartbeats are missing: the worker waits for the verdict
    result = work(sweep, "--dead-after", "3")
    assert "1 runs finished here" in result.out and "taken over from process 1 on elsewhere" in result.err, result
    assert time.monotonic() - begin > 2.9, "it was given up before its time"


def test_empty_files_of_a_stale_cache(deck, undisturbed, tmp_path):
    """A state that is empty says nothing; a claim that is empty is somebody's until it is old."""
    sweep = write_sweep(tmp_path / "sweep.yaml", deck)
    runs = plan(sweep)
    folder = tmp_path / "runs" / runs[0]["run_id"]
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("")
    (folder / "deck.yaml").write_text("")
    claim = other_hosts_claim(write_sweep(tmp_path / "sweep.yaml", deck))
    claim.write_text("")
    assert "running 1" in run("status", sweep).out
    assert "3 runs finished here" in work(sweep, "-j", "2", "--dead-after", "600").out
    os.utime(claim, (time.time() - 1000,) * 2)
    work(sweep)
    assert_complete(runs, tmp_path / "runs", undisturbed)
