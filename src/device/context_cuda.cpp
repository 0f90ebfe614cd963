// SPDX-License-Identifier: Apache-2.0
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <limits>
#include <mutex>

#include "core/memory.hpp"
#include "core/timer.hpp"
#include "device/check_cuda.hpp"
#include "device/context.hpp"

namespace constrictor::device {
namespace {

/// Of one stream; what NVIDIA recommends for Hopper. A workspace of our own keeps cuBLAS
/// deterministic where several streams run at a time, and its own allocations out of the way.
constexpr std::size_t bytes_of_workspace = std::size_t{32} << 20;

struct BlasApi {
  using Raw = cublasContext*;
  static Raw empty() { return nullptr; }
  static void destroy(Raw handle) noexcept { cublasDestroy(handle); }
};
struct BlasLtApi {
  using Raw = cublasLtContext*;
  static Raw empty() { return nullptr; }
  static void destroy(Raw handle) noexcept { cublasLtDestroy(handle); }
};
struct SolverApi {
  using Raw = cusolverDnContext*;
  static Raw empty() { return nullptr; }
  static void destroy(Raw handle) noexcept { cusolverDnDestroy(handle); }
};
struct WorkspaceApi {
  using Raw = void*;
  static Raw empty() { return nullptr; }
  static void destroy(Raw memory) noexcept { cudaFree(memory); }
};

int taken(int number) {
  CONSTRICTOR_CUDA(cudaSetDevice(number));
  return number;
}

std::string name_of(int number) {
  cudaDeviceProp properties{};
  CONSTRICTOR_CUDA(cudaGetDeviceProperties(&properties, number));
  return properties.name;
}

/// Freed memory stays in the pool: the same sizes are asked for again and again.
cudaMemPool_t pool_of(int number) {
  cudaMemPool_t pool = nullptr;
  CONSTRICTOR_CUDA(cudaDeviceGetDefaultMemPool(&pool, number));
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
  CONSTRICTOR_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
  return pool;
}

/// A stream's scratch memory and the cuBLAS handle that works in it.
struct Blas {
  Handle<WorkspaceApi> workspace;
  Handle<BlasApi> handle;

  explicit Blas(const Stream& stream) {
    void* memory = nullptr;
    CONSTRICTOR_CUDA(cudaMalloc(&memory, bytes_of_workspace));
    workspace = Handle<WorkspaceApi>(memory);
    cublasHandle_t raw = nullptr;
    CONSTRICTOR_CUBLAS(cublasCreate(&raw));
    handle = Handle<BlasApi>(raw);
    // In this order: setting the stream puts the workspace back to the library's own.
    CONSTRICTOR_CUBLAS(cublasSetStream(raw, stream.raw()));
    CONSTRICTOR_CUBLAS(cublasSetWorkspace(raw, memory, bytes_of_workspace));
    // No TF32, and partial sums of bfloat16 products stay in float32.
    CONSTRICTOR_CUBLAS(cublasSetMathMode(
        raw, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                       CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)));
  }
};

cublasLtHandle_t new_blas_lt() {
  cublasLtHandle_t raw = nullptr;
  CONSTRICTOR_CUBLAS(cublasLtCreate(&raw));
  return raw;
}

cusolverDnHandle_t new_solver() {
  cusolverDnHandle_t raw = nullptr;
  CONSTRICTOR_CUSOLVER(cusolverDnCreate(&raw));
  return raw;
}

}  // namespace

struct Context::State {
  explicit State(int wanted)
      : number(taken(wanted)),
        name(name_of(number)),
        pool(pool_of(number)),
        main_blas(main),
        side_blas(side),
        blas_lt(new_blas_lt()),
        solver(new_solver()) {
    CONSTRICTOR_CUSOLVER(cusolverDnSetStream(solver.get(), main.raw()));
    phase_observer = {[](const char* phase) { nvtxRangePushA(phase); }, [] { nvtxRangePop(); }};
  }

  const Blas& blas_of(const Stream& stream) const {
    CONSTRICTOR_REQUIRE(&stream == &main || &stream == &side, stream.name());
    return &stream == &main ? main_blas : side_blas;
  }

  int number;
  std::string name;
  cudaMemPool_t pool;  // the device's own, never destroyed
  Stream main{"main"}, side{"side"}, copies{"copies"};
  Blas main_blas, side_blas;
  Handle<BlasLtApi> blas_lt;
  Handle<SolverApi> solver;
  std::mutex counters;  // the reader of blocks allocates, too
  std::int64_t live = 0, peak = 0;
};

Context::Context(int number) : state_(std::make_unique<State>(number)) {}
Context::~Context() = default;

void Context::make_current() const { taken(state_->number); }
int Context::number() const { return state_->number; }
const std::string& Context::name() const { return state_->name; }
const Stream& Context::main() const { return state_->main; }
const Stream& Context::side() const { return state_->side; }
const Stream& Context::copies() const { return state_->copies; }
cublasContext* Context::blas(const Stream& stream) const {
  return state_->blas_of(stream).handle.get();
}
cublasLtContext* Context::blas_lt() const { return state_->blas_lt.get(); }
cusolverDnContext* Context::solver() const { return state_->solver.get(); }
void* Context::workspace(const Stream& stream) const {
  return state_->blas_of(stream).workspace.get();
}
std::size_t Context::workspace_bytes() const { return bytes_of_workspace; }

void* Context::allocate(std::size_t bytes, const char* what) const {
  if (bytes == 0) return nullptr;
  State& state = *state_;
  void* pointer = nullptr;
  cudaError_t code = cudaMallocAsync(&pointer, bytes, state.main.raw());
  if (code == cudaErrorMemoryAllocation) {
    // Pieces that wait in the pool may be of the wrong sizes: give them back and ask once more.
    cudaGetLastError();
    state.main.synchronize();
    CONSTRICTOR_CUDA(cudaMemPoolTrimTo(state.pool, 0));
    code = cudaMallocAsync(&pointer, bytes, state.main.raw());
  }
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    const auto text = [](auto n) { return bytes_text(static_cast<double>(n)); };
    const MemoryUse use = memory();
    throw MemoryError("out of device memory: " + text(bytes) + " for " + what +
                      " are not to be had on device " + std::to_string(state.number) + " (" +
                      state.name + ", " + text(use.total) + "): " + text(use.live) +
                      " are in use by this rank, " + text(use.free) +
                      " are free; run.reduction: fast, fewer run.lanes a rank (more ranks), or "
                      "quant.value_hessian: input take less");
  }
  cuda_check(code, "cudaMallocAsync");
  const std::lock_guard lock(state.counters);
  state.live += static_cast<std::int64_t>(bytes);
  state.peak = std::max(state.peak, state.live);
  return pointer;
}

void Context::release(void* pointer, std::size_t bytes) const noexcept {
  if (pointer == nullptr) return;
  // A broken device fails here too; the call that broke it has said so.
  cudaFreeAsync(pointer, state_->main.raw());
  const std::lock_guard lock(state_->counters);
  state_->live -= static_cast<std::int64_t>(bytes);
}

MemoryUse Context::memory() const {
  std::size_t free = 0, total = 0;
  CONSTRICTOR_CUDA(cudaMemGetInfo(&free, &total));
  const std::lock_guard lock(state_->counters);
  return {state_->live, state_->peak, static_cast<std::int64_t>(total),
          static_cast<std::int64_t>(free)};
}

void Context::reset_peak() const {
  const std::lock_guard lock(state_->counters);
  state_->peak = state_->live;
}

ProfilerRange::ProfilerRange(const char* name) { nvtxRangePushA(name); }
ProfilerRange::~ProfilerRange() { nvtxRangePop(); }

}  // namespace constrictor::device
