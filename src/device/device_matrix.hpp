// SPDX-License-Identifier: Apache-2.0
#pragma once
// Device memory with one owner, and copies as explicit words.
#include <utility>
#include <vector>

#include "core/matrix.hpp"
#include "device/context.hpp"

namespace constrictor::device {

/// Owns a dense row-major [rows x cols] array on a device; not initialised. Memory comes from and
/// goes back to the context's pool in the order of its main stream: work on other streams must have
/// been joined (`main().wait_for(other)`) before the owner dies.
template <class T>
class DeviceMatrix {
 public:
  DeviceMatrix() = default;
  /// `what` appears in the message when the memory is not there: "sums of the value layer".
  DeviceMatrix(const Context& gpu, Index rows, Index cols, const char* what)
      : gpu_(&gpu), rows_(rows), cols_(cols) {
    CONSTRICTOR_REQUIRE(rows >= 0 && cols >= 0, rows, cols);
    if (size() > 0) data_ = static_cast<T*>(gpu.allocate(bytes(), what));
  }
  DeviceMatrix(DeviceMatrix&& other) noexcept { swap(other); }
  DeviceMatrix& operator=(DeviceMatrix&& other) noexcept {
    DeviceMatrix taken(std::move(other));
    swap(taken);
    return *this;
  }
  DeviceMatrix(const DeviceMatrix&) = delete;
  DeviceMatrix& operator=(const DeviceMatrix&) = delete;
  ~DeviceMatrix() {
    if (data_ != nullptr) gpu_->release(data_, bytes());
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  bool empty() const { return size() == 0; }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(T); }
  T* data() const { return data_; }

  DeviceView<T> view() { return {data_, rows_, cols_, cols_}; }
  DeviceView<const T> view() const { return {data_, rows_, cols_, cols_}; }

 private:
  void swap(DeviceMatrix& other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(data_, other.data_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
  }
  const Context* gpu_ = nullptr;
  T* data_ = nullptr;
  Index rows_ = 0, cols_ = 0;
};

namespace detail {
/// Rows of `width` bytes, `from_stride` and `to_stride` bytes apart.
struct Copy2D {
  const void* from;
  void* to;
  std::size_t from_stride, to_stride, width, rows;
};
void copy_to_device(const Copy2D& copy, const Stream& stream);
void copy_to_host(const Copy2D& copy, const Stream& stream);
void copy_on_device(const Copy2D& copy, const Stream& stream);
void set_bytes(void* to, std::size_t stride, int value, std::size_t width, std::size_t rows,
               const Stream& stream);
template <class From, class To>
Copy2D copy_of(From from, To to) {
  CONSTRICTOR_REQUIRE(from.rows == to.rows && from.cols == to.cols, from.rows, from.cols, to.rows,
                      to.cols);
  constexpr std::size_t size = sizeof(*from.data);
  static_assert(sizeof(*to.data) == size);
  return {from.data,
          to.data,
          static_cast<std::size_t>(from.stride) * size,
          static_cast<std::size_t>(to.stride) * size,
          static_cast<std::size_t>(from.cols) * size,
          static_cast<std::size_t>(from.rows)};
}
}  // namespace detail

/// Queued on `stream`; the host's memory must stay as it is until the stream got there (pageable
/// memory has been read when the call returns).
template <class T>
void upload(View<const T> from, DeviceView<T> to, const Stream& stream) {
  detail::copy_to_device(detail::copy_of(from, to), stream);
}
/// Queued on `stream`; valid on the host after stream.synchronize().
template <class T>
void download(DeviceView<const T> from, View<T> to, const Stream& stream) {
  detail::copy_to_host(detail::copy_of(from, to), stream);
}
template <class T>
void copy(DeviceView<const T> from, DeviceView<T> to, const Stream& stream) {
  detail::copy_on_device(detail::copy_of(from, to), stream);
}
template <class T>
void set_zero(DeviceView<T> to, const Stream& stream) {
  detail::set_bytes(to.data, static_cast<std::size_t>(to.stride) * sizeof(T), 0,
                    static_cast<std::size_t>(to.cols) * sizeof(T),
                    static_cast<std::size_t>(to.rows), stream);
}

/// A new matrix on the device, on the main stream.
template <class T>
DeviceMatrix<T> uploaded(const Context& gpu, View<const T> from, const char* what) {
  DeviceMatrix<T> to(gpu, from.rows, from.cols, what);
  upload<T>(from, to.view(), gpu.main());
  return to;
}
template <class T>
DeviceMatrix<T> uploaded(const Context& gpu, const std::vector<T>& from, const char* what) {
  return uploaded<T>(gpu,
                     View<const T>(from.data(), 1, static_cast<Index>(from.size()),
                                   static_cast<Index>(from.size())),
                     what);
}
/// A copy on the host; waits for the main stream.
template <class T>
Matrix<T> downloaded(const Context& gpu, DeviceView<const T> from) {
  auto to = Matrix<T>::uninitialized(from.rows, from.cols);
  download<T>(from, to.view(), gpu.main());
  gpu.main().synchronize();
  return to;
}
template <class T>
DeviceMatrix<T> copied(const Context& gpu, DeviceView<const T> from, const char* what) {
  DeviceMatrix<T> to(gpu, from.rows, from.cols, what);
  copy<T>(from, to.view(), gpu.main());
  return to;
}

/// Host memory that the device can reach by itself (page-locked) while this lives; copies from and
/// to it run beside the host's work. Where the system refuses, copies are slower and nothing else.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  PinnedMemory(void* data, std::size_t bytes);
  PinnedMemory(PinnedMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~PinnedMemory();
  bool pinned() const { return data_ != nullptr; }

 private:
  void* data_ = nullptr;
};

}  // namespace constrictor::device
