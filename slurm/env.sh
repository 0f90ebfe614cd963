# SPDX-License-Identifier: Apache-2.0
# What depends on the site, for run.sbatch and sweep.sbatch (bash, sourced). Change it here; a job may also set, before
# or with sbatch --export:
#   CONSTRICTOR_MODULES   modules to load, for example "openmpi hdf5 cuda/13.0 nccl"
#   CONSTRICTOR_BIN       the program; otherwise build/cuda, build, where it is installed or the PATH
#   CONSTRICTOR_LAUNCH    what starts ranks: "srun" (default where Slurm's srun speaks PMIx) or "mpirun"

# Slurm runs a copy of the job script: its own folder is no help, the one sbatch was called in is.
constrictor_root=${CONSTRICTOR_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}

if [ -n "${CONSTRICTOR_MODULES:-}" ]; then
    # shellcheck disable=SC2086  # a list of words
    module load $CONSTRICTOR_MODULES || exit 2
fi

if [ -z "${CONSTRICTOR_BIN:-}" ]; then
    for candidate in "$constrictor_root/build/cuda/constrictor" "$constrictor_root/build/constrictor" \
                     "$constrictor_root/../../bin/constrictor" "$(command -v constrictor || true)"; do
        if [ -x "$candidate" ]; then
            CONSTRICTOR_BIN=$candidate
            break
        fi
    done
fi
if [ ! -x "${CONSTRICTOR_BIN:-}" ]; then
    echo "slurm/env.sh: no program: build it (make build), or name it in CONSTRICTOR_BIN" >&2
    exit 2
fi
export CONSTRICTOR_BIN

if [ -z "${CONSTRICTOR_LAUNCH:-}" ]; then
    if srun --mpi=list 2>&1 | grep -q pmix; then CONSTRICTOR_LAUNCH="srun --mpi=pmix --kill-on-bad-exit=1"
    else CONSTRICTOR_LAUNCH=mpirun; fi
fi
export CONSTRICTOR_LAUNCH

# Hidden states are page-locked for fast copies to the device; where the limit stays low, copies are slower.
ulimit -l unlimited 2>/dev/null || true
# A core file of a rank is as large as its memory.
ulimit -c 0
# One thread a core is the program's own plan (run.threads); presets of a site would leave a node idle.
unset OMP_NUM_THREADS OMP_PROC_BIND OMP_PLACES

# supervise COMMAND...: runs it and ends as it ends. Slurm's warning (SIGUSR1) is handed on; a command that leaves with
# exit code 75 then wants to go on later, and the job is put back into the queue. SIGTERM is somebody's scancel: the
# command may finish in good order, and that is all.
supervise() {
  local command code warned requeue=yes
  "$@" &
  command=$!
  trap 'warned=yes; kill -USR1 $command 2>/dev/null' USR1
  trap 'warned=yes; requeue=no; kill -USR1 $command 2>/dev/null' TERM
  while true; do  # a signal ends `wait` early, not the command
    warned=
    wait $command
    code=$?
    [ -n "$warned" ] || break
  done
  if [ $code -eq 75 ] && [ $requeue = yes ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    echo "preempted: job $SLURM_JOB_ID goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
  fi
  exit $code
}
