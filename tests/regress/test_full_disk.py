# SPDX-License-Identifier: Apache-2.0
"""A small file system that fills up in the middle: the sentence, what is left, and going on with more room."""

import json
import os
import subprocess

import pytest

from program import assert_refused, quantize, quantize_arguments, run
from test_ranks import assert_equal


@pytest.fixture
def small_disk(tmp_path):
    """mount(options) makes a tmpfs or changes it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode != 0:
            pytest.skip("no permission to mount")
        return folder
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True)


@pytest.fixture(scope="module")
def undisturbed(deck, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    quantize(deck, run_dir)
    return run_dir


@pytest.mark.parametrize("kilobytes, ranks", ((8, 1), (40, 1), (400, 1), (400, 2), (640, 2)))
def test_the_disk_fills_up(deck, undisturbed, small_disk, kilobytes, ranks):
    disk = small_disk(f"size={kilobytes}k")
    result = run(*quantize_arguments(deck, disk / "run", {}), ranks=ranks)
    assert_refused(result, 5, disk, "No space left on device")
    assert list(disk.rglob("*.partial")) == [] and list(disk.rglob("run.lock")) == []
    finished = len(list(disk.rglob("blocks/*.h5")))
    assert finished == kilobytes * 1024 // 260_000
    if finished:
        assert json.loads((disk / "run" / "state.json").read_text())["blocks_done"] == finished

    small_disk("remount,size=8m")
    again = quantize(deck, disk / "run")
    assert (f"resuming: {finished} of 4" in again.out) == (finished > 0)
    assert_equal(undisturbed, disk / "run")


def test_a_disk_that_may_not_be_written(deck, small_disk):
    disk = small_disk("size=8m,ro")
    assert_refused(run(*quantize_arguments(deck, disk / "run", {})), 5, disk / "run", "Read-only file system")
