# SPDX-License-Identifier: Apache-2.0
from spack.package import *


class Constrictor(CMakePackage, CudaPackage):
    """Post-training quantization of large language models (TurboBoA, BoA, GPTQ) on MPI ranks and GPUs."""

    maintainers = []
    license("Apache-2.0")
    # Built from a checkout (`spack dev-build constrictor@main`): there is no release to fetch.
    version("main")

    variant("onednn", default=True, description="float32 and bfloat16 products by oneDNN")
    variant("native", default=True, description="compile for the processor of this machine")
    variant("python", default=True, description="what tokens, tasks and the analysis need")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.22:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("openblas threads=openmp")
    depends_on("hdf5@1.10:~mpi")
    depends_on("yaml-cpp")
    depends_on("boost@1.74:+program_options")
    depends_on("nlohmann-json")
    depends_on("openssl")
    depends_on("fmt")
    depends_on("onednn", when="+onednn")
    depends_on("cuda@13:", when="+cuda")
    depends_on("nccl", when="+cuda")
    with when("+python"):
        depends_on("python@3.9:", type="run")
        for package in ("numpy", "h5py", "pandas", "matplotlib", "pyyaml", "tokenizers"):
            depends_on(f"py-{package}", type="run")

    generator("ninja")

    def cmake_args(self):
        arguments = [
            self.define("CONSTRICTOR_TESTS", False),
            self.define_from_variant("CONSTRICTOR_CUDA", "cuda"),
            self.define_from_variant("CONSTRICTOR_ONEDNN", "onednn"),
            self.define_from_variant("CONSTRICTOR_NATIVE", "native"),
        ]
        if self.spec.satisfies("+cuda") and "none" not in self.spec.variants["cuda_arch"].value:
            arguments.append(self.define("CMAKE_CUDA_ARCHITECTURES", self.spec.variants["cuda_arch"].value))
        return arguments

    def setup_run_environment(self, env):
        env.set("CONSTRICTOR_ROOT", self.prefix.share.constrictor)
        env.prepend_path("PYTHONPATH", self.prefix.share.constrictor)
