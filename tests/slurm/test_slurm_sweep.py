# SPDX-License-Identifier: Apache-2.0
"""A sweep as an array job on a real Slurm: one task cancelled, one killed, one sent into its time limit, all requeued."""

import os
import re
import signal
import subprocess
import time

import pytest

from inputs import demo_tokens, short_tokens, write_deck
from program import PROGRAM, ROOT, run
from sweeps import assert_complete, kill, plan, work, write_sweep
from sweeps import state_of as stored_state

AXES = """
  - {key: quant.method, values: [gptq, turboboa]}
  - {key: quant.bits, values: [2, 3]}
  - {key: quant.damping, values: [0.01, 0.02]}
"""


class Array:
    """The tasks of one array job."""

    def __init__(self, environment, folder, sweep):
        self.environment, self.folder, self.out = environment, folder, sweep.parent / "runs"
        answer = self.call("sbatch", "--parsable", "--array=0-3", "--ntasks=2", "--output", folder / "task-%a.out",
                           "--export=ALL", ROOT / "slurm" / "sweep.sbatch", sweep, "-np", "2",
                           "--launcher", "mpirun --oversubscribe --bind-to none -np {ranks}")
        self.number = answer.strip()

    def call(self, *words):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=ROOT,
                              env={**self.environment, "CONSTRICTOR_BIN": str(PROGRAM)}, timeout=60)
        assert done.returncode == 0, (words, done)
        return done.stdout

    def output(self, task):
        path = self.folder / f"task-{task}.out"
        return path.read_text() if path.exists() else ""

    def facts(self, task):
        return self.call("scontrol", "show", "job", f"{self.number}_{task}")

    def state(self, task):
        return re.search(r"JobState=(\w+)", self.facts(task)).group(1)

    def worker(self, task):
        """Process of the worker and folder of a run of this task that has finished a block, but not all."""
        for claim in sorted(self.out.glob("claims/*.*")):
            try:
                text = claim.read_text()
                run_dir = self.out / claim.name.split(".")[0]
                state = stored_state(run_dir)
            except (FileNotFoundError, ValueError):
                continue  # finished or being written just now
            mine = re.search(rf'"job":"{self.number}_{task}"', text)
            process = int(re.search(r'"pid":(\d+)', text).group(1)) if mine else 0
            if mine and claim.stat().st_mtime > 0 and state["state"] == "running" and \
                    0 < state["blocks_done"] < state["blocks"] and ranks_in(run_dir):
                return process, run_dir
        return None


def ranks_in(run_dir):
    """Processes that work on a run. Under Slurm the ranks are children of a job step, not of mpirun."""
    found = []
    for process in os.listdir("/proc"):
        if process.isdigit():
            try:
                with open(f"/proc/{process}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[0] == str(PROGRAM) and str(run_dir) in words:
                found.append(int(process))
    return found


def wait_for(condition, what, seconds=150):
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    """Runs that last long enough to be interrupted."""
    folder = tmp_path_factory.mktemp("deck")
    calibration = short_tokens(demo_tokens("calibration"), folder / "calibration.tokens.h5", 48, 128)
    evaluation = short_tokens(demo_tokens("evaluation"), folder / "evaluation.tokens.h5", 8, 64)
    return write_deck(folder / "deck.yaml", ROOT / "experiments" / "demo" / "model", calibration, evaluation, 48)


def test_an_array_that_is_cancelled_killed_and_runs_out_of_time(slurm, deck, tmp_path):
    undisturbed = write_sweep(tmp_path / "undisturbed" / "sweep.yaml", deck, axes=AXES)
    work(undisturbed, "-j", "2", timeout=200)
    sweep = write_sweep(tmp_path / "array" / "sweep.yaml", deck, axes=AXES)
    runs = plan(sweep)
    assert len(runs) == 8
    array = Array(slurm, tmp_path, sweep)
    try:
        # Two tasks work at the same time, one on each node. The first stands still until its time runs out.
        _, run_dir = wait_for(lambda: array.worker(0), "task 0 works")
        frozen = ranks_in(run_dir)
        kill(frozen, signal.SIGSTOP)
        array.call("scontrol", "update", f"JobId={array.number}_0", "TimeLimit=1")
        # The second is killed with all its ranks, and requeued by hand: no script is left to do it.
        worker, run_dir = wait_for(lambda: array.worker(1), "task 1 works")
        kill([worker, *ranks_in(run_dir)])
        wait_for(lambda: array.state(1) == "FAILED", "task 1 has failed")
        array.call("scontrol", "requeue", f"{array.number}_1")
        # The third takes its place, and is cancelled.
        task = wait_for(lambda: array.worker(2) and 2 or array.worker(1) and 1, "another task works")
        array.call("scancel", f"{array.number}_{task}")
        wait_for(lambda: array.state(task) == "CANCELLED", "the task is cancelled")
        array.call("scontrol", "requeue", f"{array.number}_{task}")
        wait_for(lambda: "asked to stop by SIGUSR1" in array.output(0), "task 0 is warned of its time limit")
        assert "running 0" not in run("status", sweep).out
        kill(frozen, signal.SIGCONT)
        wait_for(lambda: "goes back into the queue" in array.output(0), "task 0 requeues itself")
        array.call("scontrol", "update", f"JobId={array.number}_0", "TimeLimit=10")
        wait_for(lambda: array.call("squeue", "-h").strip() == "", "the queue is empty")
    finally:
        print("\n".join(f"--- task {task}\n{array.output(task)}" for task in range(4)))
        subprocess.run(["scancel", array.number], env=slurm, capture_output=True)
    outputs = "".join(array.output(task) for task in range(4))
    assert "Restarts=1" in array.facts(0)
    assert "taken over from process" in outputs
    assert [outputs.count(f"done    {facts['run_id']}") for facts in runs] == [1] * 8
    assert_complete(runs, array.out, undisturbed.parent / "runs")


def test_one_run_as_a_job(slurm, deck, tmp_path):
    """run.sbatch: two ranks over two nodes."""
    done = subprocess.run(["sbatch", "--wait", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--output",
                           str(tmp_path / "run.out"), str(ROOT / "slurm" / "run.sbatch"), str(deck), "--run-dir",
                           str(tmp_path / "run"), "--set", "run.threads=1"], capture_output=True, text=True, cwd=ROOT,
                          timeout=150, env={**slurm, "CONSTRICTOR_BIN": str(PROGRAM), "CONSTRICTOR_LAUNCH": "mpirun"})
    assert done.returncode == 0, (done, (tmp_path / "run.out").read_text())
    assert stored_state(tmp_path / "run")["state"] == "done" and stored_state(tmp_path / "run")["ranks"] == 2
