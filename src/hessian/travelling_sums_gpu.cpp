// SPDX-License-Identifier: Apache-2.0
// Sums on their way: between sets on the device, to and from the host, in one piece for NCCL.
#include <algorithm>

#include "hessian/accumulate_gpu.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/triangle.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::hessian {
namespace {

using device::DeviceMatrix;
using Pair = std::pair<DeviceMatrix<float>*, bool>;

std::vector<Pair> matrices(DeviceSums& sums) {
  std::vector<Pair> all;
  sums.for_each_matrix([&](DeviceMatrix<float>& m, bool upper) { all.emplace_back(&m, upper); });
  return all;
}
std::vector<Matrix<float>*> matrices(BlockSums& sums) {
  std::vector<Matrix<float>*> all;
  sums.for_each_matrix([&](Matrix<float>& m) { all.push_back(&m); });
  return all;
}

/// Blocks that cover a matrix, or its upper triangle in column panels.
template <class Function>
void for_each_block(Index n, bool upper, Function&& fn) {
  if (!upper) return fn(Index(0), n, n);
  const Index width = linalg::triangle_panel(n);
  for (Index first = 0; first < n; first += width) {
    const Index size = std::min(width, n - first);
    fn(first, first + size, size);  // first column, rows, columns
  }
}

/// One matrix as it lies in the packed sums.
template <class T>
DeviceView<T> packed_part(T* data, const DeviceMatrix<float>& m, bool upper) {
  if (!upper) return {data, m.rows(), m.cols(), m.cols()};
  const Index size = kernels::upper_size(m.cols());
  return {data, 1, size, size};
}

}  // namespace

void add(const device::Context& gpu, DeviceSums& left, DeviceSums& right) {
  if (right.tokens == 0) return;  // its matrices hold nothing yet
  const auto to = matrices(left), from = matrices(right);
  CONSTRICTOR_REQUIRE(to.size() == from.size(), to.size(), from.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    const auto sum = to[i].first->view();
    const auto term = read_only(from[i].first->view());
    if (left.tokens == 0)
      device::copy<float>(term, sum, gpu.main());
    else if (to[i].second)
      kernels::add_upper(gpu.main(), term, sum);
    else
      kernels::add(gpu.main(), term, sum);
  }
  left.tokens += right.tokens;
}

void set_zero(const device::Context& gpu, DeviceSums& sums) {
  for (const auto& [m, upper] : matrices(sums)) device::set_zero(m->view(), gpu.main());
  sums.tokens = 0;
}

void download(const device::Context& gpu, DeviceSums& from, BlockSums& to) {
  const auto sources = matrices(from);
  const auto targets = matrices(to);
  CONSTRICTOR_REQUIRE(sources.size() == targets.size(), sources.size(), targets.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto source = read_only(sources[i].first->view());
    const auto target = targets[i]->view();
    for_each_block(source.cols, sources[i].second, [&](Index col, Index rows, Index cols) {
      device::download<float>(source.block(0, col, rows, cols), target.block(0, col, rows, cols),
                              gpu.main());
    });
  }
  to.tokens[0] = from.tokens;
  gpu.main().synchronize();
}

void upload(const device::Context& gpu, BlockSums& from, DeviceSums& to) {
  const auto sources = matrices(from);
  const auto targets = matrices(to);
  CONSTRICTOR_REQUIRE(sources.size() == targets.size(), sources.size(), targets.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto source = read_only(sources[i]->view());
    const auto target = targets[i].first->view();
    for_each_block(source.cols, targets[i].second, [&](Index col, Index rows, Index cols) {
      device::upload<float>(source.block(0, col, rows, cols), target.block(0, col, rows, cols),
                            gpu.main());
    });
  }
  to.tokens = from.tokens[0];
  gpu.main().synchronize();  // the host's sums may change now
}

Index packed_size(const SumShape& s) {
  const auto place = [&](bool wanted, Index n) {
    return wanted ? kernels::upper_size(n) + (s.drift ? n * n : 0) : 0;
  };
  return place(s.attention_input, s.hidden) + place(s.output_input, s.attention_width) +
         place(s.mlp_input, s.hidden) + place(s.down_input, s.feed_forward) +
         s.kv_heads * place(s.value_attention, s.hidden) +
         (s.row_metric ? (s.kv_heads + s.key_grams()) * kernels::upper_size(s.head_dim) : 0);
}

DeviceMatrix<float> packed(const device::Context& gpu, const SumShape& shape, DeviceSums& sums) {
  DeviceMatrix<float> all(gpu, 1, packed_size(shape), "a block's sums in one piece");
  float* next = all.data();
  for (const auto& [m, upper] : matrices(sums)) {
    const auto part = packed_part(next, *m, upper);
    if (upper)
      kernels::pack_upper(gpu.main(), read_only(m->view()), part);
    else
      device::copy<float>(m->view(), part, gpu.main());
    next += part.size();
  }
  CONSTRICTOR_REQUIRE(next == all.data() + all.size(), next - all.data(), all.size());
  return all;
}

void unpack(const device::Context& gpu, DeviceView<const float> packed, DeviceSums& sums) {
  const float* next = packed.data;
  for (const auto& [m, upper] : matrices(sums)) {
    const auto part = packed_part(next, *m, upper);
    if (upper)
      kernels::unpack_upper(gpu.main(), part, m->view());
    else
      device::copy<float>(part, m->view(), gpu.main());
    next += part.size();
  }
  CONSTRICTOR_REQUIRE(next == packed.data + packed.size(), next - packed.data, packed.size());
}

}  // namespace constrictor::hessian
