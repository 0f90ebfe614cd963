// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ranks of a run and what they say to each other. Collective functions must be called by every
// rank in the same order; only the main thread may call them. Nothing here has a limit of 2^31
// elements: long buffers travel in pieces.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::comm {

using Bytes = std::vector<std::byte>;

class Communicator {
 public:
  static constexpr Index default_piece = Index{1} << 28;  // elements in one MPI call

  /// One rank that talks to nobody and needs no MPI: unit tests, `inspect`.
  Communicator();
  /// All ranks of the job, on a communicator of its own. Needs a live MpiSession.
  static Communicator world(Index piece = default_piece);
  ~Communicator();
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;

  int rank() const;
  int size() const;
  int node_rank() const;                          // among the ranks of this node
  int node_size() const;                          // ranks on this node
  const std::vector<std::string>& hosts() const;  // [size] host name of every rank

  void barrier() const;

  /// `root`'s values everywhere. Sizes must agree; the overloads for containers carry their shape.
  void broadcast_bytes(void* data, Index bytes, int root = 0) const;
  template <class T>
  void broadcast(std::span<T> values, int root = 0) const {
    static_assert(std::is_trivially_copyable_v<T>);
    broadcast_bytes(values.data(), static_cast<Index>(values.size_bytes()), root);
  }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void broadcast(T& value, int root = 0) const {
    broadcast_bytes(&value, static_cast<Index>(sizeof(T)), root);
  }
  template <class T>
  void broadcast(std::vector<T>& values, int root = 0) const {
    Index count = static_cast<Index>(values.size());
    broadcast(count, root);
    values.resize(static_cast<std::size_t>(count));
    broadcast(std::span<T>(values), root);
  }
  void broadcast(std::string& text, int root = 0) const;
  template <class T>
  void broadcast(Matrix<T>& matrix, int root = 0) const {
    Index shape[2] = {matrix.rows(), matrix.cols()};
    broadcast(std::span<Index>(shape), root);
    if (matrix.rows() != shape[0] || matrix.cols() != shape[1])
      matrix = Matrix<T>::uninitialized(shape[0], shape[1]);
    broadcast(matrix.values(), root);
  }

  /// Element-wise sum over ranks, in place, everywhere. In MPI's order: for floating-point numbers
  /// the last bits depend on the number of ranks (`reduction: fast`). Exact sums: lane_tree.hpp.
  void sum(std::span<float> values) const;
  void sum(std::span<double> values) const;
  void sum(std::span<Index> values) const;
  template <class T>
  requires std::is_arithmetic_v<T> T sum(T value)
  const {
    sum(std::span<T>(&value, 1));
    return value;
  }

  double max(double value) const;
  Index max(Index value) const;
  double min(double value) const;
  Index min(Index value) const;
  /// True everywhere when `mine` is true anywhere.
  bool any(bool mine) const { return max(static_cast<Index>(mine)) != 0; }

  /// Buffers of any length: [size] at `root` in the order of ranks, empty elsewhere.
  std::vector<Bytes> gather(std::span<const std::byte> mine, int root = 0) const;
  std::vector<Bytes> all_gather(std::span<const std::byte> mine) const;

  /// Blocking; messages between two ranks arrive in the order in which they were sent.
  void send_bytes(const void* data, Index bytes, int to) const;
  void receive_bytes(void* data, Index bytes, int from) const;
  template <class T>
  void send(std::span<const T> values, int to) const {
    static_assert(std::is_trivially_copyable_v<T>);
    send_bytes(values.data(), static_cast<Index>(values.size_bytes()), to);
  }
  template <class T>
  void receive(std::span<T> values, int from) const {
    static_assert(std::is_trivially_copyable_v<T>);
    receive_bytes(values.data(), static_cast<Index>(values.size_bytes()), from);
  }

 private:
  struct State;
  explicit Communicator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Trivially copyable values as bytes and back, for gather.
template <class T>
std::span<const std::byte> bytes_of(std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(values);
}
template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  CONSTRICTOR_REQUIRE(bytes.size() % sizeof(T) == 0, bytes.size(), sizeof(T));
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace constrictor::comm
