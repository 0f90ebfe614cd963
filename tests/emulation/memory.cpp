// SPDX-License-Identifier: Apache-2.0
// Device memory: one reserved range of addresses, first fit. Fresh and freed memory and the guard
// zones around each allocation hold 0xff bytes (NaN, -1), and a guard that has changed is noticed.
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <mutex>

#include "cuda_runtime_api.h"
#include "runtime.hpp"

namespace emulation {

namespace {

constexpr std::size_t granule = 256, guard = 256;

struct Piece {
  std::size_t bytes;  // asked for
  long number;        // of the allocation, from one
  std::size_t padded() const { return (bytes + granule - 1) / granule * granule; }
};

struct Arena {
  std::mutex mutex;
  std::byte* base = nullptr;
  std::size_t total = 0, reserved = 0, used = 0, high = 0;
  long allocations = 0;
  std::map<std::size_t, Piece> pieces;  // by the offset of the first byte asked for

  Arena()
      : total(static_cast<std::size_t>(number_setting("CONSTRICTOR_EMULATED_MEMORY", 8l << 30))) {
    reserved = 2 * total + (64 << 20);  // guards and fragmentation cost addresses, not memory
    void* memory = mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      say("cannot reserve addresses for the device's memory");
      std::abort();
    }
    base = static_cast<std::byte*>(memory);
  }
  std::size_t offset(const void* pointer) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(pointer) - base);
  }
  bool contains(const void* pointer) const { return pointer >= base && pointer < base + reserved; }
};
Arena& arena() {
  static Arena* const one = new Arena;  // outlives whoever frees at exit
  return *one;
}

/// Empty, or how far before or behind the piece something was written.
std::string overwritten(const std::byte* first, const Piece& piece) {
  for (std::size_t i = 1; i <= guard; ++i)
    if (first[-static_cast<std::ptrdiff_t>(i)] != std::byte{0xff})
      return std::to_string(i) + " bytes before";
  for (std::size_t i = piece.bytes; i < piece.padded() + guard; ++i)
    if (first[i] != std::byte{0xff}) return std::to_string(i - piece.bytes + 1) + " bytes behind";
  return {};
}

void check(const std::byte* first, const Piece& piece, const std::string& when) {
  const std::string where = overwritten(first, piece);
  if (where.empty()) return;
  break_device(cudaErrorIllegalAddress, when + " wrote " + where + " the " +
                                            std::to_string(piece.bytes) + " bytes of allocation " +
                                            std::to_string(piece.number));
}

cudaError_t take(void** pointer, std::size_t bytes) {
  *pointer = nullptr;
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  if (bytes == 0) return cudaSuccess;
  Arena& memory = arena();
  const std::lock_guard lock(memory.mutex);
  Piece piece{bytes, memory.allocations + 1};
  if (memory.used + piece.padded() > memory.total || bytes > memory.total)
    return answer(cudaErrorMemoryAllocation);
  std::size_t begin = guard;  // first fit
  for (const auto& [offset, other] : memory.pieces) {
    if (begin + piece.padded() + guard <= offset) break;
    begin = offset + other.padded() + guard;
  }
  if (begin + piece.padded() + guard > memory.reserved) return answer(cudaErrorMemoryAllocation);
  memory.pieces.emplace(begin, piece);
  ++memory.allocations;
  memory.used += piece.padded();
  memory.high = std::max(memory.high, memory.used);
  std::memset(memory.base + begin - guard, 0xff, piece.padded() + 2 * guard);
  *pointer = memory.base + begin;
  return cudaSuccess;
}

cudaError_t allocate(void** pointer, std::size_t bytes) {
  cudaError_t taken = take(pointer, bytes);
  if (taken == cudaErrorMemoryAllocation) {  // lazy streams may still hold what they are to free
    drain_all();
    taken = take(pointer, bytes);
    if (taken == cudaSuccess) cudaGetLastError();
  }
  return taken;
}

cudaError_t release(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  Arena& memory = arena();
  {
    const std::lock_guard lock(memory.mutex);
    const auto found = memory.pieces.find(memory.offset(pointer));
    if (!memory.contains(pointer) || found == memory.pieces.end())
      return complain(cudaErrorInvalidValue, "freed a pointer that is no allocation, or twice");
    std::byte* first = memory.base + found->first;
    check(first, found->second, "some kernel or library call");
    const std::size_t bytes = found->second.padded();
    // Large pieces go back to the system.
    if (bytes >= (1 << 20))
      madvise(memory.base + (found->first + 4095) / 4096 * 4096, bytes / 4096 * 4096 - 4096,
              MADV_DONTNEED);
    else
      std::memset(first, 0xff, bytes);
    memory.used -= bytes;
    memory.pieces.erase(found);
  }
  return answer(device_state());
}

}  // namespace

bool on_device(const void* pointer) { return arena().contains(pointer); }

bool allocated(const void* pointer, std::size_t bytes) {
  Arena& memory = arena();
  if (!memory.contains(pointer)) return false;
  const std::lock_guard lock(memory.mutex);
  auto next = memory.pieces.upper_bound(memory.offset(pointer));
  if (next == memory.pieces.begin()) return false;
  const auto& [begin, piece] = *--next;
  return memory.offset(pointer) + bytes <= begin + piece.bytes;
}

void check_guards(const std::string& when) {
  if (device_state() != cudaSuccess) return;
  Arena& memory = arena();
  const std::lock_guard lock(memory.mutex);
  for (const auto& [begin, piece] : memory.pieces) check(memory.base + begin, piece, when);
}

}  // namespace emulation

using namespace emulation;

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  Arena& memory = arena();
  const std::lock_guard lock(memory.mutex);
  *total = memory.total;
  *free = memory.total - memory.used;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** pointer, std::size_t bytes) { return allocate(pointer, bytes); }
cudaError_t cudaFree(void* pointer) {
  drain_all();
  return release(pointer);
}
cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  return allocate(pointer, bytes);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  submit(stream, [pointer] { release(pointer); });
  return answer(device_state());
}

struct CUmemPoolHandle_st {
  std::uint64_t release_threshold = 0;
};
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  static CUmemPoolHandle_st only;
  *pool = &only;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  if (attribute == cudaMemPoolAttrReleaseThreshold)
    pool->release_threshold = *static_cast<std::uint64_t*>(value);
  if (attribute == cudaMemPoolAttrUsedMemHigh) {
    if (*static_cast<std::uint64_t*>(value) != 0) return answer(cudaErrorInvalidValue);
    arena().high = arena().used;
  }
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  auto& number = *static_cast<std::uint64_t*>(value);
  const Arena& memory = arena();
  switch (attribute) {
    case cudaMemPoolAttrReleaseThreshold:
      number = pool->release_threshold;
      break;
    case cudaMemPoolAttrReservedMemCurrent:
    case cudaMemPoolAttrUsedMemCurrent:
      number = memory.used;
      break;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh:
      number = memory.high;
      break;
    default:
      return answer(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }
