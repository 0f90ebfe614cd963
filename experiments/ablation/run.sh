#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ablation in one command: experiments/ablation/run.sh [JOBS [SWEEP]]. Tokens, all runs (JOBS at a time, one rank and one
# thread each), then the tables in README.md. Killed, it goes on where it was. CONSTRICTOR names another program, for example
# that of a bundle; PYTHON another Python.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=${1:-$(nproc)}
sweep=${2:-experiments/ablation/sweep.yaml}
program=${CONSTRICTOR:-build/constrictor}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

experiments/ablation/tokens.sh
failed=0
"$program" sweep "$sweep" --local -j "$jobs" -np 1 || failed=$?   # what is finished is worth a table
"$python" experiments/ablation/write_tables.py "$sweep"
exit $failed
