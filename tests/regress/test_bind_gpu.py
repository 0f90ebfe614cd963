# SPDX-License-Identifier: Apache-2.0
"""slurm/bind_gpu.sh: each rank of a node sees one device, its own; slurm/env.sh: the program is found or missed."""

import os
import subprocess

import pytest

from program import PROGRAM, ROOT

LAUNCHERS = ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_LOCAL_RANK", "CUDA_VISIBLE_DEVICES")
CLEAN = {key: value for key, value in os.environ.items() if key not in LAUNCHERS}


def bind(**variables):
    return subprocess.run([ROOT / "slurm" / "bind_gpu.sh", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"], text=True, capture_output=True,
                          env={**CLEAN, **variables}, check=False)


@pytest.mark.parametrize("variables, visible", [
    ({"SLURM_LOCALID": "0"}, "0"),
    ({"SLURM_LOCALID": "3"}, "3"),
    ({"OMPI_COMM_WORLD_LOCAL_RANK": "2"}, "2"),
    ({"SLURM_LOCALID": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}, "1"),
    ({"SLURM_LOCALID": "1", "CUDA_VISIBLE_DEVICES": "4,6,7"}, "6"),
    ({"SLURM_LOCALID": "1", "CUDA_VISIBLE_DEVICES": "GPU-11,GPU-22"}, "GPU-22"),
    ({"SLURM_LOCALID": "1", "CUDA_VISIBLE_DEVICES": "5"}, "5"),  # bound by Slurm already
])
def test_each_rank_sees_its_own_device(variables, visible):
    result = bind(**variables)
    assert (result.returncode, result.stdout.strip()) == (0, visible), result


@pytest.mark.parametrize("variables, word", [
    ({}, "which rank of the node"),
    ({"SLURM_LOCALID": "2", "CUDA_VISIBLE_DEVICES": "4,6"}, "CUDA_VISIBLE_DEVICES=4,6"),
])
def test_what_cannot_be_bound_is_refused(variables, word):
    result = bind(**variables)
    assert result.returncode == 2 and word in result.stderr, result
    assert result.stdout == ""


def source_env(**variables):
    script = f"source {ROOT}/slurm/env.sh && echo \"$CONSTRICTOR_BIN|$CONSTRICTOR_LAUNCH|${{OMP_NUM_THREADS:-unset}}\""
    return subprocess.run(["bash", "-c", script], text=True, capture_output=True, env={**CLEAN, **variables}, check=False)


def test_the_environment_of_jobs():
    result = source_env(CONSTRICTOR_BIN=str(PROGRAM), CONSTRICTOR_LAUNCH="mpirun --bind-to none", OMP_NUM_THREADS="1")
    assert result.returncode == 0 and result.stdout.strip() == f"{PROGRAM}|mpirun --bind-to none|unset", result
    missing = source_env(CONSTRICTOR_BIN="/nowhere/constrictor", CONSTRICTOR_LAUNCH="mpirun")
    assert missing.returncode == 2 and "make build" in missing.stderr, missing
