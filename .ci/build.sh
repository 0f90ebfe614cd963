#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures and compiles a preset: cpu into build/, the others into build/asan, build/cuda, build/bundle; quiet unless
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
case $preset in  # as in CMakePresets.json
  cpu) targets=() ;; cpu-asan) targets=(units) ;;
  cuda) targets=(constrictor test_gpu test_gpu_mpi) ;; bundle) targets=(constrictor test_gpu) ;;
esac
require_no_warnings() {  # device code is held to none
  if [[ $preset == cuda ]] && grep -qs 'warning[: ]' $folder/build.log; then
    echo "build: the CUDA build is not free of warnings, see $folder/build.log" >&2
    exit 1
  fi
}
if [[ $(ninja -C $folder -n "${targets[@]}" 2>/dev/null) == *"no work to do"* ]]; then require_no_warnings; exit 0; fi
[[ -e $folder/.ninja_log ]] && echo "== compiling what has changed in $folder/" || echo "== compiling into $folder/ (some minutes the first time)"
if [[ -t 1 && $preset != cuda ]]; then cmake --build --preset $preset -j $jobs
else cmake --build --preset $preset -j $jobs -- --quiet 2>&1 | tee $folder/build.log; fi
require_no_warnings
