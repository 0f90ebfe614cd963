# SPDX-License-Identifier: Apache-2.0
# Environment of the batch scripts, and how they end; edit the first lines for your site.
#
# module load gcc openmpi hdf5
# export MODELS=/a/folder/of/models     # decks say ${MODELS}/Llama-3.2-1B

# Slurm runs a copy of the script, so where the program lies is known from where the job was submitted.
CONSTRICTOR_ROOT=${CONSTRICTOR_ROOT:-${SLURM_SUBMIT_DIR:-$PWD}}
CONSTRICTOR=${CONSTRICTOR:-$CONSTRICTOR_ROOT/build/constrictor}

# supervise COMMAND...: runs it and ends as it ends. Slurm's warning (SIGUSR1) is handed on; a command that leaves with
# exit code 75 wants to go on later, and the job is put back into the queue.
supervise() {
  local command code warned
  "$@" &
  command=$!
  trap 'warned=yes; kill -USR1 $command 2>/dev/null' USR1 TERM
  while true; do  # a signal ends `wait` early, not the command
    warned=
    wait $command
    code=$?
    [ -n "$warned" ] || break
  done
  trap - USR1 TERM
  if [ $code -eq 75 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    echo "preempted: job $SLURM_JOB_ID goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
  fi
  exit $code
}
