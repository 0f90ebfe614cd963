# SPDX-License-Identifier: Apache-2.0
"""A real Slurm with two nodes on this machine, and the helpers of the regression tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "regress")]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """The environment in which sbatch and squeue find it."""
    from program import ENVIRONMENT
    for program in ("slurmctld", "slurmd", "sbatch", "munged"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip(f"Slurm is not installed here ({program}; Debian: slurm-wlm, munge)")
    if os.geteuid() != 0:
        pytest.skip("Slurm can only be started by root")
    folder = tmp_path_factory.mktemp("slurm")
    script = HERE / "slurm_local.sh"
    with open(folder / "start.log", "w+") as log:
        started = subprocess.run([script, "start", "2", folder], stdout=log, stderr=log)
        log.seek(0)
        assert started.returncode == 0, log.read()
    yield {**ENVIRONMENT, "SLURM_CONF": str(folder / "slurm.conf")}
    subprocess.run([script, "stop", folder])
