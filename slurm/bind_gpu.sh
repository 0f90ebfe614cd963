#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gives each rank of a node one device of its own, then becomes the program:
#     srun --ntasks-per-node=4 --gpus-per-node=4 slurm/bind_gpu.sh constrictor quantize deck.yaml
#     mpirun -np 4 slurm/bind_gpu.sh constrictor quantize deck.yaml
# Rank k of the node sees the k-th device of those that CUDA_VISIBLE_DEVICES leaves (all without it). The program
# does this by itself when all ranks see all devices of the node; this script is for sites where only a rank's own
# device may be visible, and hands out cores and network cards by device.

rank=${SLURM_LOCALID:-${OMPI_COMM_WORLD_LOCAL_RANK:-${MPI_LOCALRANKID:-${PMI_LOCAL_RANK:-}}}}
if [ $# -eq 0 ]; then
    echo "usage: bind_gpu.sh PROGRAM [ARGUMENTS]" >&2
    exit 2
fi
if [ -z "$rank" ]; then
    echo "bind_gpu.sh: neither Slurm nor mpirun says which rank of the node this is; start it through srun or mpirun" >&2
    exit 2
fi

if [ -z "${CUDA_VISIBLE_DEVICES:-}" ]; then
    CUDA_VISIBLE_DEVICES=$rank
else
    case $CUDA_VISIBLE_DEVICES in
        *,*)
            device=$(echo "$CUDA_VISIBLE_DEVICES" | cut -d, -f$((rank + 1)))
            if [ -z "$device" ]; then
                echo "bind_gpu.sh: rank $rank of this node finds no device of its own in CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES" >&2
                exit 2
            fi
            CUDA_VISIBLE_DEVICES=$device ;;
    esac  # a single device: bound already (srun --gpus-per-task=1), or the program reports two ranks on it
fi
export CUDA_VISIBLE_DEVICES
exec "$@"
