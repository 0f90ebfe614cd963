// SPDX-License-Identifier: Apache-2.0
#include "backend/task_results.hpp"

#include <cstring>

namespace constrictor::backend {
namespace {

/// Plain values one after the other; the same program reads what it wrote.
class Writer {
 public:
  template <class T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* first = reinterpret_cast<const std::byte*>(&v);
    bytes_.insert(bytes_.end(), first, first + sizeof(T));
  }
  template <class T>
  void values(const T* data, Index count) {
    value(count);
    const auto* first = reinterpret_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + static_cast<std::ptrdiff_t>(sizeof(T)) * count);
  }
  template <class T>
  void matrix(const Matrix<T>& m) {
    value(m.rows());
    values(m.data(), m.size());
  }
  const comm::Bytes& bytes() const { return bytes_; }

 private:
  comm::Bytes bytes_;
};

class Reader {
 public:
  explicit Reader(const comm::Bytes& bytes) : bytes_(bytes) {}
  bool at_end() const { return at_ == bytes_.size(); }
  template <class T>
  T value() {
    T v;
    std::memcpy(&v, take(sizeof(T)), sizeof(T));
    return v;
  }
  template <class T>
  std::vector<T> values() {
    std::vector<T> v(static_cast<std::size_t>(value<Index>()));
    if (!v.empty()) std::memcpy(v.data(), take(v.size() * sizeof(T)), v.size() * sizeof(T));
    return v;
  }
  template <class T>
  Matrix<T> matrix() {
    const Index rows = value<Index>(), count = value<Index>();
    auto m = Matrix<T>::uninitialized(rows, rows > 0 ? count / rows : 0);
    if (count > 0) std::memcpy(m.data(), take(m.bytes()), m.bytes());
    return m;
  }

 private:
  const std::byte* take(std::size_t count) {
    CONSTRICTOR_REQUIRE(at_ + count <= bytes_.size(), at_, count, bytes_.size());
    const auto* first = bytes_.data() + at_;
    at_ += count;
    return first;
  }
  const comm::Bytes& bytes_;
  std::size_t at_ = 0;
};

template <class T>
void put(Writer& out, const std::vector<T>& v) {
  out.values(v.data(), static_cast<Index>(v.size()));
}

void put(Writer& out, const TaskResult& result) {
  const auto& s = result.solution;
  for (const Index number :
       {result.task, s.grid.group_size, s.frozen_scales, result.output_retries, result.fell_back})
    out.value(number);
  for (const double number : {s.loss_before, s.loss_after, s.loss_rounding, s.loss_scale,
                              result.seconds, result.output_damping})
    out.value(number);
  out.value(s.grid.top);
  out.value(s.rounding);
  out.matrix(s.codes);
  out.matrix(s.grid.scale);
  out.matrix(s.grid.zero);
  put(out, s.loss_by_stage);
  put(out, s.row_loss);
  put(out, s.column_energy);
  put(out, result.row_order);
}

TaskResult take_result(Reader& in) {
  TaskResult result;
  auto& s = result.solution;
  for (Index* number : {&result.task, &s.grid.group_size, &s.frozen_scales, &result.output_retries,
                        &result.fell_back})
    *number = in.value<Index>();
  for (double* number : {&s.loss_before, &s.loss_after, &s.loss_rounding, &s.loss_scale,
                         &result.seconds, &result.output_damping})
    *number = in.value<double>();
  s.grid.top = in.value<float>();
  s.rounding = in.value<RoundingFacts>();
  s.codes = in.matrix<std::uint8_t>();
  s.grid.scale = in.matrix<float>();
  s.grid.zero = in.matrix<float>();
  s.loss_by_stage = in.values<double>();
  s.row_loss = in.values<double>();
  s.column_energy = in.values<double>();
  result.row_order = in.values<std::int32_t>();
  return result;
}

}  // namespace

std::vector<TaskResult> share_results(const comm::Communicator& ranks, std::vector<TaskResult> mine,
                                      Index tasks) {
  std::vector<TaskResult> all(static_cast<std::size_t>(tasks));
  if (ranks.size() == 1) {
    for (TaskResult& result : mine)
      all.at(static_cast<std::size_t>(result.task)) = std::move(result);
    return all;
  }
  Writer out;
  for (const TaskResult& result : mine) put(out, result);
  mine.clear();
  for (const auto& bytes : ranks.all_gather(out.bytes()))
    for (Reader in(bytes); !in.at_end();) {
      auto result = take_result(in);
      all.at(static_cast<std::size_t>(result.task)) = std::move(result);
    }
  return all;
}

}  // namespace constrictor::backend
