// SPDX-License-Identifier: Apache-2.0
#pragma once
// The device of one rank with everything that is made once: streams, library handles, memory pool.
// main() owns it by way of the backend; functions that work on the device take it first.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "device/stream.hpp"

struct cublasContext;
struct cublasLtContext;
struct cusolverDnContext;

namespace constrictor::device {

struct MemoryUse {
  std::int64_t live = 0;   // bytes allocated through the pool now
  std::int64_t peak = 0;   // the most so far
  std::int64_t total = 0;  // of the device
  std::int64_t free = 0;   // what the driver calls free now
};

class Context {
 public:
  /// Takes the device with this number (as CUDA counts what is visible) for the calling thread.
  explicit Context(int number);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Takes the device for another thread of this process that is going to use it.
  void make_current() const;

  int number() const;
  const std::string& name() const;  // "NVIDIA H100 80GB HBM3"

  const Stream& main() const;    // where functions queue their work unless told otherwise
  const Stream& side() const;    // products that may overlap with kernels on main
  const Stream& copies() const;  // transfers between host and device

  /// Library handles bound to a stream (main or side).
  cublasContext* blas(const Stream& stream) const;
  cublasLtContext* blas_lt() const;
  cusolverDnContext* solver() const;  // bound to main
  /// Scratch memory for cuBLASLt, one piece for each of main and side.
  void* workspace(const Stream& stream) const;
  std::size_t workspace_bytes() const;

  /// Stream-ordered allocation on main; a MemoryError names `what` and its bytes.
  void* allocate(std::size_t bytes, const char* what) const;
  void release(void* pointer, std::size_t bytes) const noexcept;
  MemoryUse memory() const;
  /// The peak starts again from what is live now.
  void reset_peak() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A named range in profilers (NVTX), for the life time of a scope.
class ProfilerRange {
 public:
  explicit ProfilerRange(const char* name);
  ~ProfilerRange();
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace constrictor::device
