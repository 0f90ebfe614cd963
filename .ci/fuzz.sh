#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The fuzz test of the safetensors header, 20 seconds; skipped where there is no clang with libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/fuzz
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >build/fuzz/probe.cpp
if ! clang++ -fsanitize=fuzzer,address build/fuzz/probe.cpp -o build/fuzz/probe 2>build/fuzz/configure.log; then
  echo "== fuzz test: skipped, no clang++ with libFuzzer here (Debian: clang libclang-rt-dev)"
  exit 0
fi
if ! { cmake -S tests/fuzz -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ && ninja -C build/fuzz; } >build/fuzz/configure.log 2>&1; then
  tail -n 40 build/fuzz/configure.log >&2
  exit 1
fi
ctest --test-dir build/fuzz --output-on-failure
