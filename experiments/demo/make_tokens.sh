#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The bundled text as token files, 128 windows for calibration and 256 for evaluation.
set -euo pipefail
cd "$(dirname "$0")/../.."
demo=experiments/demo

echo "== text to token files"
build/constrictor tokens --tokenizer $demo/model --text $demo/text/calibration.txt.xz --sampler wikitext2-train \
  --seed 0 --sequences 128 --length 256 --out $demo/tokens/calibration.tokens.h5
build/constrictor tokens --tokenizer $demo/model --text $demo/text/evaluation.txt.xz --sampler windows \
  --sequences 256 --length 256 --out $demo/tokens/evaluation.tokens.h5
