// SPDX-License-Identifier: Apache-2.0
#pragma once
// Matrix owns, View looks. Row-major everywhere; the space is part of a view's type, so that a
// forgotten copy between host and device does not compile.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <vector>

#include "core/error.hpp"

namespace constrictor {

using Index = std::int64_t;
enum class Space { host, device };

/// A [rows x cols] window into row-major memory; `stride` elements from one row to the next.
template <class T, Space space = Space::host>
struct View {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  // constexpr: nvcc lets device code call what could run at compile time.
  View() = default;
  constexpr View(T* first, Index n_rows, Index n_cols, Index row_stride)
      : data(first), rows(n_rows), cols(n_cols), stride(row_stride) {}
  /// A view of T serves where a view of const T is asked for.
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_const_v<U>)
      constexpr View(View<U, space> other)  // NOLINT: implicit on purpose
      : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride) {}

  constexpr T& operator()(Index row, Index col) const { return data[row * stride + col]; }
  constexpr T* row(Index r) const { return data + r * stride; }
  constexpr Index size() const { return rows * cols; }

  constexpr View block(Index row, Index col, Index n_rows, Index n_cols) const {
    return {data + row * stride + col, n_rows, n_cols, stride};
  }
  constexpr View rows_from(Index row, Index n_rows) const { return block(row, 0, n_rows, cols); }
  constexpr View cols_from(Index col, Index n_cols) const { return block(0, col, rows, n_cols); }
};

template <class T, Space space>
constexpr View<const T, space> read_only(View<T, space> view) {
  return {view.data, view.rows, view.cols, view.stride};
}

/// A window into a device's memory: only kernels and library calls may follow its pointer.
template <class T>
using DeviceView = View<T, Space::device>;

namespace detail {
/// Cache-line aligned memory that is not initialised: the first touch decides the NUMA node.
template <class T>
struct AlignedFree {
  void operator()(T* pointer) const { std::free(pointer); }
};
template <class T>
std::unique_ptr<T[], AlignedFree<T>> aligned_array(Index count) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (count == 0) return {};
  const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
  T* pointer = static_cast<T*>(std::aligned_alloc(64, bytes));
  if (pointer == nullptr)
    throw MemoryError("out of memory: a matrix of " + std::to_string(bytes) +
                      " bytes could not be allocated");
  return std::unique_ptr<T[], AlignedFree<T>>(pointer);
}
}  // namespace detail

/// Owns a dense row-major [rows x cols] array, zero unless made with `uninitialized`.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(Index rows, Index cols) : Matrix(uninitialized(rows, cols)) {
    if (size() > 0) std::memset(static_cast<void*>(data()), 0, bytes());
  }
  static Matrix uninitialized(Index rows, Index cols) {
    CONSTRICTOR_REQUIRE(rows >= 0 && cols >= 0, rows, cols);
    Matrix m;
    m.rows_ = rows;
    m.cols_ = cols;
    m.values_ = detail::aligned_array<T>(rows * cols);
    return m;
  }
  explicit Matrix(View<const T> view) : Matrix(uninitialized(view.rows, view.cols)) {
    for (Index r = 0; r < rows_; ++r)
      if (cols_ > 0) std::memcpy(row(r), view.row(r), sizeof(T) * static_cast<std::size_t>(cols_));
  }
  Matrix(const Matrix& other) : Matrix(other.view()) {}
  Matrix(Matrix&&) noexcept = default;
  Matrix& operator=(const Matrix& other) { return *this = Matrix(other.view()); }
  Matrix& operator=(Matrix&&) noexcept = default;

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  bool empty() const { return size() == 0; }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(T); }

  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }
  T* row(Index r) { return data() + r * cols_; }
  const T* row(Index r) const { return data() + r * cols_; }
  T& operator()(Index r, Index c) { return data()[r * cols_ + c]; }
  const T& operator()(Index r, Index c) const { return data()[r * cols_ + c]; }

  View<T> view() { return {data(), rows_, cols_, cols_}; }
  View<const T> view() const { return {data(), rows_, cols_, cols_}; }
  std::span<T> values() { return {data(), static_cast<std::size_t>(size())}; }
  std::span<const T> values() const { return {data(), static_cast<std::size_t>(size())}; }

  void fill(T value) {
    for (T& v : values()) v = value;
  }

 private:
  Index rows_ = 0;
  Index cols_ = 0;
  std::unique_ptr<T[], detail::AlignedFree<T>> values_;
};

/// Copy with conversion, element by element.
template <class To, class From>
Matrix<To> converted(View<const From> from) {
  auto to = Matrix<To>::uninitialized(from.rows, from.cols);
  for (Index r = 0; r < from.rows; ++r)
    for (Index c = 0; c < from.cols; ++c) to(r, c) = static_cast<To>(from(r, c));
  return to;
}

}  // namespace constrictor
