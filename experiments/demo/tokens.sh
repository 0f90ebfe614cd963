#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The token files of the demo, from the bundled texts: calibration, evaluation (256 windows), small (32, for the sweeps).
set -euo pipefail
cd "$(dirname "$0")/../.."
demo=experiments/demo

build/constrictor tokens --tokenizer $demo/model --text $demo/text/calibration.txt.xz --sampler wikitext2-train \
  --seed 0 --sequences 128 --length 256 --out $demo/tokens/calibration.tokens.h5
for set in evaluation:256 small:32; do
  build/constrictor tokens --tokenizer $demo/model --text $demo/text/evaluation.txt.xz --sampler windows \
    --sequences "${set#*:}" --length 256 --purpose evaluation --out "$demo/tokens/${set%:*}.tokens.h5"
done
