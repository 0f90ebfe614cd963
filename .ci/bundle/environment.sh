# SPDX-License-Identifier: Apache-2.0
# Read by the launchers of the bundle; $home is their folder. Sets the library path, or says in one sentence what the
# machine lacks and leaves with code 2.

complain() { echo "$(basename "$0"): $*" >&2; exit 2; }

if [[ ${CONSTRICTOR_BUNDLE:-} != "$home" ]]; then  # else mpirun's launcher has done it
  grep -q -m 1 -w avx2 /proc/cpuinfo || complain "this processor has no AVX2, which the bundle is compiled for; build from source instead"
  glibc=$(ldd --version 2>/dev/null | sed -n '1s/.* //p')
  oldest=$(<"$home/lib/oldest-glibc")
  [[ $(printf '%s\n' "$oldest" "${glibc:-0}" | sort -V | head -n 1) == "$oldest" ]] ||
    complain "the bundle needs glibc $oldest or later, this system has ${glibc:-another C library}; build from source instead"

  # Folders of CUDA's runtime libraries, those of the system last; Python is asked only where the others lack one.
  readarray -t wanted <"$home/lib/cuda-libraries"
  folder_with() { local folder; for folder in "${folders[@]}"; do [[ -e $folder/$1 ]] && { echo "$folder"; return; }; done; }
  lacking() {
    missing=() cuda_path=
    local library folder
    for library in "${wanted[@]}"; do
      folder=$(folder_with "$library")
      if [[ -z $folder ]]; then missing+=("$library")
      elif [[ :$cuda_path: != *":$folder:"* ]]; then cuda_path+=${cuda_path:+:}$folder; fi
    done
    (( ${#missing[@]} ))
  }
  shopt -s nullglob
  IFS=: read -r -a folders <<<"${LD_LIBRARY_PATH:-}"
  for root in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /usr/local/cuda-*; do
    [[ -n $root ]] && folders+=("$root/lib64" "$root/lib")
  done
  for root in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}"; do
    [[ -n $root ]] && folders+=("$root"/lib/python3*/site-packages/nvidia/*/lib "$root/lib")
  done
  folders+=(/usr/lib/x86_64-linux-gnu /usr/lib64)
  if lacking && command -v python3 >/dev/null; then
    readarray -t packages < <(python3 -c 'import sys; print("\n".join(filter(None, sys.path)))' 2>/dev/null)
    for root in "${packages[@]}"; do folders+=("$root"/nvidia/*/lib); done
    lacking
  fi
  (( ${#missing[@]} )) &&
    complain "CUDA's runtime libraries ${missing[*]} are neither in LD_LIBRARY_PATH, CUDA_HOME or /usr/local/cuda* nor in a Python environment's nvidia/*/lib; point LD_LIBRARY_PATH at them"

  export CONSTRICTOR_BUNDLE=$home
  export LD_LIBRARY_PATH=$home/lib:$cuda_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  # Open MPI's libraries carry the folders of the machine they were made on.
  export OPAL_PREFIX=$home OPAL_BINDIR=$home/bin OPAL_LIBDIR=$home/lib OPAL_PKGLIBDIR=$home/lib/openmpi
  export OPAL_DATADIR=$home/share OPAL_PKGDATADIR=$home/share/openmpi OPAL_SYSCONFDIR=$home/etc
  export PMIX_INSTALL_PREFIX=$home PMIX_PKGLIBDIR=$home/lib/pmix PMIX_PKGDATADIR=$home/share/pmix
  export PMIX_MCA_mca_base_component_path=$home/lib/pmix PMIX_MCA_mca_base_param_files=$home/etc/pmix-mca-params.conf
  export HWLOC_PLUGINS_PATH=$home/lib/hwloc  # none: they belong to the system's own hwloc
fi
