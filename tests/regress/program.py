# SPDX-License-Identifier: Apache-2.0
"""Starts the built program as a user would, and says what came of it."""

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CONSTRICTOR_PROGRAM", ROOT / "build" / "constrictor"))
MPIRUN = os.environ.get("CONSTRICTOR_MPIRUN", "mpirun")
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
for variable in ("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES"):
    ENVIRONMENT.pop(variable, None)  # the program's own plan is what is tested

JARGON = ("std::", "what():", "terminate called", "Traceback", ".cpp:", "HDF5-DIAG", "bad_alloc", "nullptr", "core dumped",
          "basic_", "Assertion", "rank 0: ", " 0x")


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def complaints(self):
        """What the program itself said on stderr: lines without the notes of mpirun."""
        text = re.sub(r"^-{70,}\n.*?^-{70,}\n", "", self.err, flags=re.M | re.S)
        return [line for line in text.splitlines() if line.strip() and not re.match(r"(mpi\w+|prte\w*): ", line)]


def command(*arguments, ranks=1):
    """The command line. One rank is started without mpirun."""
    launcher = [MPIRUN, "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks > 1 else []
    return [*launcher, str(PROGRAM), *map(str, arguments)]


def start(*arguments, ranks=1):
    return subprocess.Popen(command(*arguments, ranks=ranks), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def finish(process, timeout=60):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill_all(process)
        raise
    return Result(process.returncode, out, err)


def run(*arguments, ranks=1, timeout=60):
    return finish(start(*arguments, ranks=ranks), timeout)


def quantize_arguments(deck, run_dir, settings):
    assignments = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["quantize", deck, *(["--run-dir", run_dir] if run_dir else []), *assignments]


def quantize(deck, run_dir, settings=None, ranks=1, timeout=60):
    """A run that must succeed."""
    result = run(*quantize_arguments(deck, run_dir, settings or {}), ranks=ranks, timeout=timeout)
    assert result.code == 0, result
    return result


def ranks_of(launcher):
    """Process ids of the ranks below mpirun."""
    with open(f"/proc/{launcher.pid}/task/{launcher.pid}/children") as file:
        return [int(word) for word in file.read().split()]


def kill_all(process):
    """SIGKILL to a run and all its ranks (mpirun gives each a process group of its own)."""
    for victim in (*ranks_of(process), process.pid):
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass  # has just ended


def wait_for(condition, process, seconds=30):
    """Busy, because what is waited for may last milliseconds only."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, ("ended before", process.communicate())
        assert time.monotonic() < end, "never happened"


def assert_refused(result, code, *words):
    """One sentence for people, with all the words, and the right exit code."""
    assert result.code == code, result
    assert len(result.complaints) == 1 and result.complaints[0].startswith("constrictor: "), result.err
    for word in words:
        assert str(word) in result.complaints[0], (word, result.complaints[0])
    for word in JARGON:
        assert word not in result.complaints[0], (word, result.complaints[0])
