#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real Slurm on this machine: one slurmctld, N slurmd that each stand for a node, munge between them.
#
#   eval "$(slurm_local.sh start NODES DIR)"    start, set SLURM_CONF in the calling shell
#   slurm_local.sh stop DIR                     stop exactly what start started
#
# Needs root (or munged's own user), slurm-wlm and munge. All nodes share one /tmp and one host name.
set -euo pipefail
action=$1
if [ "$action" = stop ]; then
  dir=$2
  for pid in "$dir"/n*.pid "$dir"/slurmctld.pid; do
    [ -s "$pid" ] || continue
    number=$(cat "$pid")
    kill "$number" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$number" 2>/dev/null || break; sleep 0.1; done
  done
  exit 0
fi
nodes=$2 dir=$3 host=$(hostname -s)
mkdir -p "$dir/state" "$dir/log" /run/munge
if ! munge -n >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    chown -R munge: /run/munge /var/log/munge /var/lib/munge /etc/munge
    runuser -u munge -- /usr/sbin/munged --force >&2
  else
    munged --force >&2
  fi
  for _ in $(seq 50); do munge -n >/dev/null 2>&1 && break; sleep 0.1; done
fi
port=$((20000 + $$ % 20000))  # several of these may run side by side
# cred_expire is also what a requeued job waits for.
cat > "$dir/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=cred_expire=5
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
ReturnToService=2
MailProg=/bin/true
KillWait=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/%n.log
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=$(nproc) RealMemory=2000 State=UNKNOWN
PartitionName=debug Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld -f "$dir/slurm.conf" >&2
for _ in $(seq 50); do [ -s "$dir/slurmctld.pid" ] && break; sleep 0.1; done
for i in $(seq "$nodes"); do slurmd -f "$dir/slurm.conf" -N "n$i" >&2; done
for _ in $(seq 60); do
  [ "$(SLURM_CONF=$dir/slurm.conf sinfo -h -o %t 2>/dev/null)" = idle ] && break
  sleep 0.5
done
echo "export SLURM_CONF=$dir/slurm.conf"
