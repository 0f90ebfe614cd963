// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a kernel may call besides <cmath>: its coordinates, barriers, warp functions, atomics,
// intrinsics. A mask names the lanes of the warp that take part; all of them must call.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "vector_types.h"

inline constinit thread_local uint3 threadIdx{0, 0, 0};
inline constinit thread_local uint3 blockIdx{0, 0, 0};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
inline constexpr int warpSize = 32;

namespace emulation {

using Place = std::source_location;
enum class WarpCall : unsigned char { barrier, shuffle, vote };

/// Waits for all threads of the block; how many gave a predicate other than zero.
int block_barrier(int predicate, const Place& place);
/// Waits for the lanes in `mask`. Shuffle: the value that lane `source` gave; vote: one bit for
/// each lane whose value is not zero.
std::uint64_t warp_call(WarpCall call, unsigned mask, std::uint64_t value, int source,
                        const Place& place);
/// This thread's lane within its warp.
int lane();
/// Ends the launch with a message.
[[noreturn]] void fail(const char* message, const Place& place);
void* dynamic_shared();

template <class T>
T shuffle(unsigned mask, T value, int source, const Place& place) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "__shfl_sync takes values of 4 or 8 bytes");
  static_assert(std::is_arithmetic_v<T>, "__shfl_sync takes numbers");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = warp_call(WarpCall::shuffle, mask, bits, source, place);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace emulation

inline void* emulated_dynamic_shared() { return emulation::dynamic_shared(); }

// ---- barriers ----------------------------------------------------------------------------------
inline void __syncthreads(emulation::Place place = emulation::Place::current()) {
  emulation::block_barrier(0, place);
}
inline int __syncthreads_count(int predicate,
                               emulation::Place place = emulation::Place::current()) {
  return emulation::block_barrier(predicate, place);
}
inline int __syncthreads_or(int predicate, emulation::Place place = emulation::Place::current()) {
  return emulation::block_barrier(predicate, place) > 0;
}
inline int __syncthreads_and(int predicate, emulation::Place place = emulation::Place::current()) {
  return emulation::block_barrier(!predicate, place) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu,
                       emulation::Place place = emulation::Place::current()) {
  emulation::warp_call(emulation::WarpCall::barrier, mask, 0, 0, place);
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// ---- warp functions; `width` divides the warp into segments -------------------------------------
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              emulation::Place place = emulation::Place::current()) {
  const int segment = emulation::lane() & ~(width - 1);
  return emulation::shuffle(mask, value, segment + (source & (width - 1)), place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int step, int width = warpSize,
                  emulation::Place place = emulation::Place::current()) {
  const int lane = emulation::lane(), source = lane ^ step, end = (lane & ~(width - 1)) + width;
  return emulation::shuffle(mask, value, source < end ? source : lane, place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned step, int width = warpSize,
                 emulation::Place place = emulation::Place::current()) {
  const int lane = emulation::lane(), source = lane - static_cast<int>(step);
  return emulation::shuffle(mask, value, source >= (lane & ~(width - 1)) ? source : lane, place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned step, int width = warpSize,
                   emulation::Place place = emulation::Place::current()) {
  const int lane = emulation::lane(), source = lane + static_cast<int>(step);
  return emulation::shuffle(mask, value, source < (lane & ~(width - 1)) + width ? source : lane,
                            place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              emulation::Place place = emulation::Place::current()) {
  return static_cast<unsigned>(
      emulation::warp_call(emulation::WarpCall::vote, mask, predicate != 0, 0, place));
}
inline int __any_sync(unsigned mask, int predicate,
                      emulation::Place place = emulation::Place::current()) {
  return __ballot_sync(mask, predicate, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      emulation::Place place = emulation::Place::current()) {
  return __ballot_sync(mask, predicate == 0, place) == 0;
}

// ---- atomics on integers; none on floats, whose sums would depend on the order
// -------------------
template <class T>
concept EmulatedAtomic =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
template <EmulatedAtomic T>
T atomicAdd(T* place, std::type_identity_t<T> value) {
  return __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicOr(T* place, std::type_identity_t<T> value) {
  return __atomic_fetch_or(place, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicAnd(T* place, std::type_identity_t<T> value) {
  return __atomic_fetch_and(place, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicExch(T* place, std::type_identity_t<T> value) {
  return __atomic_exchange_n(place, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicCAS(T* place, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  __atomic_compare_exchange_n(place, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;  // what was there
}
template <EmulatedAtomic T>
T atomicMin(T* place, std::type_identity_t<T> value) {
  T found = __atomic_load_n(place, __ATOMIC_RELAXED);
  while (value < found && !__atomic_compare_exchange_n(place, &found, value, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return found;
}
template <EmulatedAtomic T>
T atomicMax(T* place, std::type_identity_t<T> value) {
  T found = __atomic_load_n(place, __ATOMIC_RELAXED);
  while (value > found && !__atomic_compare_exchange_n(place, &found, value, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return found;
}

#include "device_intrinsics.h"
