# SPDX-License-Identifier: Apache-2.0
# The front door; the build itself is CMake (CMakePresets.json). `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Which python the program and the scripts use; where mpirun is root or has fewer cores than ranks, it needs telling.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONPATH := $(CURDIR)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1

JOBS ?= $(shell nproc)

.PHONY: help deps build demo test test-cuda test-readers bench bundle clean

help:   ## this list
	@sed -n 's/^\([a-z-]*\): *[a-z]* *## */  make \1\t/p' $(MAKEFILE_LIST) | expand -t 19

deps:   ## install what is missing (says what, where it may not)
	@.ci/deps.sh

build: deps  ## compile build/constrictor
	@.ci/build.sh $(JOBS)

demo: build  ## quantize the bundled model to 2 bits with four methods on two ranks; table and picture
	@experiments/demo/run.sh

test: build  ## all tests: units under sanitizers, a fuzz test, the CUDA build where there is nvcc, everything else
	@.ci/build.sh $(JOBS) cpu-asan
	@echo "== unit tests with address and undefined-behaviour sanitizers"
	@ctest --preset cpu-asan
	@.ci/fuzz.sh
	@if command -v nvcc >/dev/null; then $(MAKE) test-cuda; fi
	@echo "== tests of the program"
	@ctest --preset cpu

test-cuda: deps  ## compile for sm_80, sm_90 and PTX without a warning; tests on a device where there is one
	@.ci/build.sh $(JOBS) cuda
	@echo "== tests of the CUDA build"
	@ctest --preset cuda

test-readers: build  ## exports and task scores against compressed-tensors, Transformers and lm-eval, installed into build/readers-venv (5 GB)
	@test -x build/readers-venv/bin/python || python3 -m venv build/readers-venv
	@build/readers-venv/bin/pip install --quiet --requirement tests/readers/requirements.txt
	@OMP_WAIT_POLICY=passive build/readers-venv/bin/python -m pytest -q -p no:cacheprovider tests/readers

bench: build  ## time every kernel against a plain product, then whole runs against the published code
	@build/constrictor_bench
	@python tests/bench/whole_runs.py

bundle: deps  ## a folder that runs on GPU nodes without packages or network: build/constrictor-cuda
	@.ci/bundle.sh $(JOBS)

clean:  ## remove build/ (not .venv, not runs/)
	@rm -rf build
