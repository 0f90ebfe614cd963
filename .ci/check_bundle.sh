#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copies the bundle somewhere else and runs it there with an empty environment.   check_bundle.sh FOLDER
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$1" "$work/bundle"
cd "$work/bundle"
bare() { env -i PATH=/usr/bin:/bin "$@"; }
fail() { echo "check_bundle: $*" >&2; exit 1; }

bare ./constrictor --version | grep -q '^CUDA  *runtime' || fail "--version does not speak of CUDA"
outside=$(bare bash -c 'home=$PWD; . ./environment.sh; ldd bin/* lib/*/*.so' | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u |
          grep -vE "^$PWD/lib/|/lib(c|m|pthread|dl|rt|resolv|util|cudart|cublas|cublasLt|cusolver|cusparse|nvJitLink|nccl)\.so" || true)
[[ -z $outside ]] || fail "libraries from outside: $outside"

echo "== demo on the CPU with fewer tokens, one rank and two"
demo=(quantize experiments/demo/int2.yaml --set calibration.sequences=16 --set "evaluation.tokens=[]")
bare ./constrictor "${demo[@]}" --run-dir one >one.log || fail "one rank failed: $(tail -n 3 one.log)"
bare ./mpirun --oversubscribe --bind-to none -np 2 ./constrictor "${demo[@]}" --run-dir two >two.log ||
  fail "two ranks failed: $(tail -n 3 two.log)"
[[ $(grep -o 'loss [0-9.]*' one.log) == $(grep -o 'loss [0-9.]*' two.log) ]] || fail "one rank and two disagree"

if ! bare bash -c 'ls /dev/nvidia0' >/dev/null 2>&1; then
  code=0; bare ./constrictor quantize experiments/demo/int2.yaml --set run.device=cuda >cuda.log 2>&1 || code=$?
  [[ $code == 2 ]] && grep -q 'run.device: cuda: ' cuda.log || fail "device: cuda without a device: code $code, $(tail -n 1 cuda.log)"
fi
echo "== tests of the device code"
code=0; bare ./test-gpu >gpu.log 2>&1 || code=$?
tail -n 3 gpu.log
[[ $code == 0 ]] || fail "test-gpu failed"

code=0; bare bash -c 'echo libnothing.so.1 >>lib/cuda-libraries; ./constrictor --version' >missing.log 2>&1 || code=$?
[[ $code == 2 && $(wc -l <missing.log) == 1 ]] && grep -q libnothing.so.1 missing.log || fail "a missing library: code $code, $(cat missing.log)"
