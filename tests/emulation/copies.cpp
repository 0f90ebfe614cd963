// SPDX-License-Identifier: Apache-2.0
// Copies and fills, and page-locked host memory. Ranges on the device must lie within one
// allocation.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_runtime_api.h"
#include "runtime.hpp"

using namespace emulation;

namespace {

/// Rows of `width` bytes from the first one: the last row ends where its bytes end.
std::size_t extent(std::size_t pitch, std::size_t width, std::size_t height) {
  return height == 0 || width == 0 ? 0 : pitch * (height - 1) + width;
}
bool side_fits(const void* pointer, std::size_t bytes, bool device) {
  return bytes == 0 || (device ? allocated(pointer, bytes) : !on_device(pointer));
}

struct Rows {
  const void* from;
  void* to;
  std::size_t from_pitch, to_pitch, width, height;
};
void copy_rows(const Rows& rows) {
  for (std::size_t row = 0; row < rows.height && rows.width > 0; ++row)
    std::memmove(static_cast<std::byte*>(rows.to) + row * rows.to_pitch,
                 static_cast<const std::byte*>(rows.from) + row * rows.from_pitch, rows.width);
}

std::mutex host_mutex;
std::map<const void*, std::size_t> registered, page_locked;  // first byte and length

bool is_page_locked(const void* pointer) {
  const std::lock_guard lock(host_mutex);
  for (const auto* ranges : {&registered, &page_locked}) {
    const auto next = ranges->upper_bound(pointer);
    if (next == ranges->begin()) continue;
    const auto& [first, length] = *std::prev(next);
    if (pointer < static_cast<const std::byte*>(first) + length) return true;
  }
  return false;
}

struct Range {
  const void* first;
  std::size_t bytes;
  bool overlaps(const Range& other) const {
    return first < static_cast<const std::byte*>(other.first) + other.bytes &&
           other.first < static_cast<const std::byte*>(first) + bytes;
  }
};
std::vector<std::weak_ptr<const Range>> late_reads;  // of host memory, by copies still queued

std::shared_ptr<const Range> reading_later(const Range& range) {
  const std::lock_guard lock(host_mutex);
  auto made = std::make_shared<const Range>(range);
  std::erase_if(late_reads, [](const auto& read) { return read.expired(); });
  late_reads.push_back(made);
  return made;
}
bool is_read_later(const Range& range) {
  const std::lock_guard lock(host_mutex);
  for (const auto& read : late_reads)
    if (const auto still = read.lock(); still != nullptr && still->overlaps(range)) return true;
  return false;
}

}  // namespace

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  if (height > 1 && (to_pitch < width || from_pitch < width))
    return complain(cudaErrorInvalidPitchValue, "a copy whose rows overlap");
  bool to_device = on_device(to), from_device = on_device(from);
  if (kind != cudaMemcpyDefault) {
    to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  }
  if (!side_fits(to, extent(to_pitch, width, height), to_device))
    return complain(cudaErrorInvalidValue,
                    "a copy writes outside an allocation, or in the wrong space");
  if (!side_fits(from, extent(from_pitch, width, height), from_device))
    return complain(cudaErrorInvalidValue,
                    "a copy reads outside an allocation, or in the wrong space");
  // Later work may find the host's memory changed, and the host must not look before it has waited.
  std::shared_ptr<const Range> late;
  if (!runs_at_once(stream)) {
    if (to_device && !from_device) {
      if (!is_page_locked(from)) {
        auto rows = std::make_shared<std::vector<std::byte>>(width * height);
        copy_rows({from, rows->data(), from_pitch, width, width, height});
        submit(stream, [=] { copy_rows({rows->data(), to, width, to_pitch, width, height}); });
        return cudaSuccess;
      }
      late = reading_later({from, extent(from_pitch, width, height)});
    }
    if (from_device && !to_device && !is_read_later({to, extent(to_pitch, width, height)}))
      for (std::size_t row = 0; row < height && width > 0; ++row)
        std::memset(static_cast<std::byte*>(to) + row * to_pitch, 0xff, width);
  }
  submit(stream, [=, keep = late] { copy_rows({from, to, from_pitch, to_pitch, width, height}); });
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  drain_all();
  const cudaError_t copied = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return copied != cudaSuccess ? copied : cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemset2DAsync(void* to, std::size_t pitch, int value, std::size_t width,
                              std::size_t height, cudaStream_t stream) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  if (height > 1 && pitch < width)
    return complain(cudaErrorInvalidValue, "a fill whose rows overlap");
  if (!side_fits(to, extent(pitch, width, height), true))
    return complain(cudaErrorInvalidValue, "a fill outside an allocation");
  submit(stream, [=] {
    for (std::size_t row = 0; row < height && width > 0; ++row)
      std::memset(static_cast<std::byte*>(to) + row * pitch, value, width);
  });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return cudaMemset2DAsync(to, bytes, value, bytes, 1, stream);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  return cudaMemsetAsync(to, value, bytes, nullptr);
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  *pointer = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (*pointer == nullptr) return answer(cudaErrorMemoryAllocation);
  const std::lock_guard lock(host_mutex);
  page_locked[*pointer] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  drain_all();
  const std::lock_guard lock(host_mutex);
  if (page_locked.erase(pointer) == 0) return answer(cudaErrorInvalidValue);
  std::free(pointer);
  return cudaSuccess;
}
// CONSTRICTOR_EMULATED_PINNING=0: a system that refuses.
cudaError_t cudaHostRegister(void* pointer, std::size_t bytes, unsigned int) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  if (number_setting("CONSTRICTOR_EMULATED_PINNING", 1) == 0)
    return answer(cudaErrorMemoryAllocation);
  if (pointer == nullptr || bytes == 0) return answer(cudaErrorInvalidValue);
  const std::lock_guard lock(host_mutex);
  const auto next = registered.upper_bound(static_cast<std::byte*>(pointer) + bytes - 1);
  if (next != registered.begin()) {
    const auto& [first, length] = *std::prev(next);
    if (static_cast<const std::byte*>(first) + length > pointer)
      return answer(cudaErrorHostMemoryAlreadyRegistered);
  }
  registered[pointer] = bytes;
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* pointer) {
  drain_all();
  const std::lock_guard lock(host_mutex);
  return registered.erase(pointer) == 0 ? answer(cudaErrorHostMemoryNotRegistered) : cudaSuccess;
}
