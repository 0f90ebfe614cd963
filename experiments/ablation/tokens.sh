#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three draws of 128 calibration windows (seeds 0, 1, 2) and 256 held-out windows of the bundled texts, 256 tokens each.
# Files that are there already are kept: they can be made on one machine and carried to another.
set -euo pipefail
cd "$(dirname "$0")/../.."
demo=experiments/demo
program=${CONSTRICTOR:-build/constrictor}
tokens=experiments/ablation/tokens

for seed in 0 1 2; do
  [ -e $tokens/seed$seed.tokens.h5 ] || "$program" tokens --tokenizer $demo/model --text $demo/text/calibration.txt.xz \
    --sampler wikitext2-train --seed $seed --sequences 128 --length 256 --out $tokens/seed$seed.tokens.h5
done
[ -e $tokens/heldout.tokens.h5 ] || "$program" tokens --tokenizer $demo/model --text $demo/text/evaluation.txt.xz \
  --sampler windows --sequences 256 --length 256 --purpose evaluation --out $tokens/heldout.tokens.h5
