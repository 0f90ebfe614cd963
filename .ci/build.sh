#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures and compiles a preset: cpu into build/, cpu-asan into build/asan, cuda into build/cuda; quiet unless
# something is wrong.   build.sh JOBS [PRESET]
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-2} preset=${2:-cpu}
case $preset in cpu) folder=build ;; *) folder=build/${preset#cpu-} ;; esac

mkdir -p $folder
if ! cmake --preset $preset >$folder/configure.log 2>&1; then
  tail -n 40 $folder/configure.log >&2
  echo "build: CMake could not configure; all of its output is in $folder/configure.log" >&2
  exit 1
fi
case $preset in cpu) targets=() ;; cpu-asan) targets=(units) ;; cuda) targets=(constrictor) ;; esac  # as in CMakePresets.json
[[ $(ninja -C $folder -n "${targets[@]}" 2>/dev/null) != *"no work to do"* ]] || exit 0
[[ -e $folder/.ninja_log ]] && echo "== compiling what has changed in $folder/" || echo "== compiling into $folder/ (some minutes the first time)"
if [[ -t 1 ]]; then cmake --build --preset $preset -j $jobs
else cmake --build --preset $preset -j $jobs -- --quiet; fi
