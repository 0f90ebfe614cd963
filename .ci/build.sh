#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures and compiles the preset `cpu` into build/; quiet unless something is wrong.   build.sh JOBS
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build
if ! cmake --preset cpu >build/configure.log 2>&1; then
  tail -n 40 build/configure.log >&2
  echo "build: CMake could not configure; all of its output is in build/configure.log" >&2
  exit 1
fi
[[ $(ninja -C build -n 2>/dev/null) != *"no work to do"* ]] || exit 0
[[ -e build/constrictor ]] && echo "== compiling what has changed" || echo "== compiling into build/ (some minutes the first time)"
if [[ -t 1 ]]; then cmake --build --preset cpu -j "${1:-2}"
else cmake --build --preset cpu -j "${1:-2}" -- --quiet; fi
