#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes build/constrictor-cuda: the CUDA build with all libraries but CUDA's and glibc, Open MPI, device tests, demo.
# bundle.sh [JOBS]
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-2} built=build/bundle out=build/constrictor-cuda system=/usr/lib/x86_64-linux-gnu
most=$((60 * 1000 * 1000))  # bytes

.ci/build.sh "$jobs" bundle
[[ -e experiments/demo/tokens/evaluation.tokens.h5 ]] || { .ci/build.sh "$jobs" cpu; experiments/demo/tokens.sh; }

echo "== gathering $out"
rm -rf $out
mkdir -p $out/{bin,lib/openmpi,lib/pmix,share/openmpi,share/pmix,share/licenses,etc,experiments}
install -s $built/constrictor $built/tests/test_gpu /usr/bin/orterun /usr/bin/orted $out/bin/

# HDF5's driver for cloud storage, which nobody opens here, pulls in curl with 25 libraries of TLS, LDAP and Kerberos:
# an empty curl takes its place.
objdump -T $system/libhdf5_serial.so.103 | sed -n 's/.*UND.*(CURL_OPENSSL_4) \(curl_.*\)/void* \1(void) { return 0; }/p' >$built/curl.c
echo 'CURL_OPENSSL_4 { global: curl_*; };' >$built/curl.map
gcc -shared -fPIC -s -Wl,-soname,libcurl.so.4,--version-script=$built/curl.map $built/curl.c -o $out/lib/libcurl.so.4
# Of OpenBLAS and LAPACKE (40 MB) what the programs call, with kernels for Haswell, Zen and Skylake-X; processors that
# OpenBLAS takes for others get Haswell's: all that the bundle runs on have AVX2.
readarray -t symbols < <(nm -D --undefined-only $out/bin/{constrictor,test_gpu} | grep -oE '(cblas|LAPACKE|openblas)_[a-z0-9_]+' | sort -u)
archive=$system/openblas-openmp/libopenblas.a
readarray -t cores < <(nm $archive 2>/dev/null | sed -n 's/.* U gotoblas_\([A-Z0-9_]*\)$/\1/p' | sort -u | grep -vxE 'HASWELL|ZEN|SKYLAKEX')
cat >$built/corename.c <<'C'
// OpenBLAS would call Haswell's kernels by the name of the first processor that shares them.
extern char gotoblas_ZEN[], gotoblas_SKYLAKEX[], *gotoblas;
const char* openblas_get_corename(void) {
  return gotoblas == gotoblas_ZEN ? "Zen" : gotoblas == gotoblas_SKYLAKEX ? "SkylakeX" : "Haswell";
}
C
instead() { case $1 in COOPERLAKE) echo SKYLAKEX ;; *) echo HASWELL ;; esac; }
gcc -shared -s -o $out/lib/libopenblas.so.0 -Wl,-soname,libopenblas.so.0 "${symbols[@]/#/-Wl,-u,}" \
  $(for core in "${cores[@]}"; do echo "-Wl,--defsym,gotoblas_$core=gotoblas_$(instead "$core")"; done) \
  -fPIC $built/corename.c $system/liblapacke.a $archive -lgfortran -lgomp -lpthread -lm
ln -s libopenblas.so.0 $out/lib/liblapacke.so.3

# Components of Open MPI for one machine, Slurm, ssh and TCP; no MPI files, no one-sided operations, no fabrics.
for component in allocator bml btl_self btl_tcp btl_vader coll compress errmgr ess filem grpcomm iof mpool odls oob op patcher \
                 plm pmix_ext3x pml_ob1 pstat ras rcache reachable_weighted regx rmaps rml routed rtc schizo shmem state topo_basic; do
  cp -L $system/openmpi/lib/openmpi3/mca_$component*.so $out/lib/openmpi/
done
rm -f $out/lib/openmpi/mca_{coll_monitoring,schizo_flux,schizo_jsm}.so
cp -L $system/pmix2/lib/pmix/*.so $out/lib/pmix/
cp /usr/share/openmpi/help-*.txt $out/share/openmpi/
cp $system/pmix2/share/pmix/help-*.txt $out/share/pmix/
cp /etc/openmpi/openmpi-mca-params.conf $system/pmix2/share/pmix-mca-params.conf $out/etc/

# Shared libraries, until there is none that is not here.
not_ours='^(linux-vdso|ld-linux|libc|libm|libpthread|libdl|librt|libresolv|libutil|libcuda|libcudart|libcublas|libcublasLt|libcusolver|libcusparse|libnvJitLink|libnccl)\.|^ld-linux|^linux-vdso'
LD_LIBRARY_PATH=$PWD/$out/lib ldd $out/bin/* $out/lib/*.so* $out/lib/*/*.so | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\).*/\1 \2/p' | sort -u |
  grep -v "$PWD/$out" | grep -vE "$not_ours" | while read -r name path; do cp -L "$path" $out/lib/"$name"; done
LD_LIBRARY_PATH=$PWD/$out/lib ldd $out/bin/* | sed -n 's/^\t\(lib\(cud\|cub\|cus\|nvJ\|ncc\)[^ ]*\) => .*/\1/p' | grep -v '^libcuda\.' | sort -u >$out/lib/cuda-libraries
objdump -T $out/bin/* $out/lib/*.so* $out/lib/*/*.so 2>/dev/null | grep -o 'GLIBC_2\.[0-9.]*' | sort -uV | tail -n 1 | sed 's/GLIBC_//' >$out/lib/oldest-glibc
if LD_LIBRARY_PATH=$PWD/$out/lib ldd $out/bin/* $out/lib/*/*.so | grep 'not found'; then
  echo "bundle: libraries are missing, see above" >&2; exit 1
fi

# What goes with it.
cp -r analysis tests/oracle requirements.txt LICENSE README.md $out/
mkdir $out/tests && mv $out/oracle $out/tests/
cp -r experiments/demo $out/experiments/
find $out -name __pycache__ -prune -exec rm -rf {} +
cp .ci/bundle/{constrictor,mpirun,test-gpu,environment.sh,README.txt} $out/
for library in $out/lib/*.so.*; do
  package=$(dpkg-query -S "*/$(basename "$library")" 2>/dev/null | sed -n '1s/:.*//p')
  [[ -z $package || ! -e /usr/share/doc/$package/copyright ]] || cp -L /usr/share/doc/$package/copyright $out/share/licenses/$package
done

size=$(du -sb $out | cut -f 1)
printf '== %s: %.1f MB\n' $out "$((size / 100000))e-1"
(( size < most )) || { echo "bundle: more than 60 MB; the largest files:" >&2; find $out -type f -printf '%s %p\n' | sort -rn | head -n 8 >&2; exit 1; }
.ci/check_bundle.sh $out
