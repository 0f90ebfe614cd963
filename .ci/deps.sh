#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and running needs: Debian packages, and the Python packages of requirements.txt into .venv.
# Says nothing and takes no time where all is there. Where it may not install, it says what it would have installed.
set -euo pipefail
cd "$(dirname "$0")/.."

needed=(build-essential cmake ninja-build libopenmpi-dev openmpi-bin libopenblas-openmp-dev liblapacke-dev libhdf5-dev
        libyaml-cpp-dev libboost-program-options-dev libboost-context-dev libgtest-dev nlohmann-json3-dev libssl-dev libfmt-dev pkg-config
        python3-venv)
# Quicker rebuilds, faster products, the fuzz test (two), the test of sweeps under Slurm (two).
optional=(ccache libdnnl-dev clang libclang-rt-dev slurm-wlm munge)

missing() {  # the arguments that are not installed
  local present
  present=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true)"
  for package in "$@"; do [[ $present == *" installed:$package "* ]] || echo "$package"; done
}

install_packages() {  # as root or through sudo; quiet unless it fails
  local log; log=$(mktemp)
  echo "== installing $*"
  if ! { "${sudo[@]}" apt-get update -qq && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
         apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "deps: apt-get could not install: $*" >&2
    rm -f "$log"; return 1
  fi
  rm -f "$log"
}

sudo=(); may_install=no
if command -v apt-get >/dev/null; then
  if [[ $(id -u) == 0 ]]; then may_install=yes
  elif sudo -n true 2>/dev/null; then may_install=yes; sudo=(sudo -n); fi
fi

if command -v dpkg-query >/dev/null; then
  mapfile -t needed_now < <(missing "${needed[@]}")
  mapfile -t optional_now < <(missing "${optional[@]}")
  if (( ${#needed_now[@]} )); then
    if [[ $may_install == no ]]; then
      echo "deps: these Debian packages are missing, and this user may not install them:" >&2
      echo "    sudo apt-get install --no-install-recommends ${needed_now[*]} ${optional_now[*]}" >&2
      exit 1
    fi
    install_packages "${needed_now[@]}"
  fi
  # Not there in every release: one that fails to install is no reason to stop.
  if (( ${#optional_now[@]} )) && [[ $may_install == yes ]]; then
    for package in "${optional_now[@]}"; do
      install_packages "$package" || echo "deps: going on without $package (optional)" >&2
    done
  fi
elif [[ ! -e .venv/requirements.txt ]]; then
  echo "deps: not a Debian system; CMake looks for what these packages hold there: ${needed[*]}" >&2
fi

if ! cmp -s requirements.txt .venv/requirements.txt; then
  echo "== installing the Python packages of requirements.txt into .venv"
  # A .venv that was broken off half-way has no stamp and is made anew.
  [[ -e .venv/requirements.txt ]] || python3 -m venv --clear .venv || {
    echo "deps: python3 -m venv does not work here (Debian: apt-get install python3-venv)" >&2; exit 1; }
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt || {
    echo "deps: pip could not install the packages of requirements.txt (see above); no network?" >&2; exit 1; }
  cp requirements.txt .venv/requirements.txt
fi
