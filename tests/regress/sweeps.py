# SPDX-License-Identifier: Apache-2.0
"""Sweeps of short runs: decks, what a folder holds, whether two sweeps hold the same bits, and a library that lies."""

import json
import os
import signal
import subprocess

from program import ENVIRONMENT, run
from test_ranks import assert_equal

ENVIRONMENT["OMP_WAIT_POLICY"] = "passive"  # several runs at a time: nobody should wait by spinning
AXES = """
  - {key: quant.method, values: [gptq, turboboa]}
  - {key: quant.bits, values: [2, 3]}
"""


def write_sweep(path, deck, out=None, axes=AXES, more=""):
    """A sweep over `deck`, with its runs in `out` (default: runs/ beside it)."""
    text = deck.read_text()
    base = text[:text.index("run:")] + f"run:\n  out: {out or path.parent / 'runs'}\n  threads: 1\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("base:\n" + "".join(f"  {line}\n" for line in base.splitlines()) + f"axes:{axes}{more}")
    return path


def plan(sweep):
    result = run("plan", sweep, "--json")
    assert result.code == 0, result
    return json.loads(result.out)["runs"]


def sweep_arguments(sweep, *options):
    return ["sweep", sweep, "--local", *options]


def work(sweep, *options, timeout=120):
    """A worker that must succeed."""
    result = run(*sweep_arguments(sweep, *options), timeout=timeout)
    assert result.code == 0, result
    return result


def children_of(process):
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            below = [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return below + [process for child in below for process in children_of(child)]


def kill(processes, number=signal.SIGKILL):
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass


def state_of(folder):
    return json.loads((folder / "state.json").read_text())


def events_of(folder):
    """Whole lines of log.jsonl; a killed process may have left half of one."""
    events = []
    for line in (folder / "log.jsonl").read_text().splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            pass
    return events


def assert_nothing_done_twice(folder):
    """A block is solved once, however often its run was interrupted."""
    layers = [(event["block"], event["layer"]) for event in events_of(folder) if event["event"] == "layer"]
    assert len(layers) == len(set(layers)), folder


def assert_complete(runs, folder, undisturbed):
    """Every run of a plan is done in `folder`, once, with the bits that it has in `undisturbed`."""
    for facts in runs:
        run_dir = folder / facts["run_id"]
        assert state_of(run_dir)["state"] == "done", facts
        assert list(run_dir.rglob("*.partial")) == [] and not (run_dir / "run.lock").exists()
        assert_nothing_done_twice(run_dir)
        assert_equal(undisturbed / facts["run_id"], run_dir)


# EIO_PATH: writes and fsyncs to files whose path holds this text fail from the EIO_AFTER-th on.
# CLOCK_SHIFT: seconds by which the clock of the process is wrong; time stamps of files come from the kernel and stay.
LYING_LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int refused(int file) {
  static int count = 0;
  const char* text = getenv("EIO_PATH");
  char link[64], path[4096];
  if (!text) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, text) || ++count < atoi(getenv("EIO_AFTER"))) return 0;
  errno = EIO;
  return 1;
}
#define ORIGINAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
ssize_t write(int f, const void* d, size_t n) { return refused(f) ? -1 : ORIGINAL(write)(f, d, n); }
ssize_t pwrite(int f, const void* d, size_t n, off_t o) { return refused(f) ? -1 : ORIGINAL(pwrite)(f, d, n, o); }
ssize_t pwrite64(int f, const void* d, size_t n, off64_t o) { return refused(f) ? -1 : ORIGINAL(pwrite64)(f, d, n, o); }
int fsync(int f) { return refused(f) ? -1 : ORIGINAL(fsync)(f); }

static long shift(void) { const char* text = getenv("CLOCK_SHIFT"); return text ? atol(text) : 0; }
int clock_gettime(clockid_t clock, struct timespec* now) {
  int code = ORIGINAL(clock_gettime)(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += shift();
  return code;
}
time_t time(time_t* now) {
  time_t value = ORIGINAL(time)(NULL) + shift();
  if (now) *now = value;
  return value;
}
"""


def lying_library(folder):
    """Compiles the library; None where there is no compiler."""
    source, library = folder / "lying.c", folder / "lying.so"
    source.write_text(LYING_LIBRARY)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library
