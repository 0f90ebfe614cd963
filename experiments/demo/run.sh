#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The demo, called by `make demo`: four methods at 2 bits on two ranks, one table, one picture.
set -euo pipefail
cd "$(dirname "$0")/../.."
demo=experiments/demo

echo "== text to token files"
$demo/tokens.sh

runs=()
for method in gptq boa turboboa constrictor; do
  run=runs/demo/$method
  rm -rf "$run"  # a finished run would only be found again, and the demo is there to show the work
  echo "== $method, 2 bits, 2 ranks -> $run"
  mpirun --oversubscribe --bind-to none -np 2 build/constrictor quantize $demo/int2.yaml \
    --set quant.method=$method --run-dir "$run"
  runs+=("$run")
done

echo "== result"
python -m analysis table "${runs[@]}"
python -m analysis plot overview "${runs[@]}" --out runs/demo/demo.png
