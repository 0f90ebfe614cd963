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

.PHONY: help deps build demo test bench clean

help:   ## this list
	@sed -n 's/^\([a-z]*\): *[a-z]* *## */  make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

deps:   ## install what is missing (says what, where it may not)
	@.ci/deps.sh

build: deps  ## compile build/constrictor
	@.ci/build.sh $(JOBS)

demo: build  ## quantize the bundled model to 2 bits with three methods on two ranks; table and picture
	@experiments/demo/run.sh

test: build  ## all tests
	@echo "== tests of the Python side"
	@python -m pytest -q -p no:cacheprovider tests/python
	@echo "== tests of the program"
	@ctest --preset cpu

bench: build  ## time every kernel against sgemm
	@build/constrictor_bench

clean:  ## remove build/ (not .venv, not runs/)
	@rm -rf build
