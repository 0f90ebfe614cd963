// SPDX-License-Identifier: Apache-2.0
#include "linalg/pivoted_order_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/convert.hpp"
#include "kernels/pivoting.hpp"
#include "kernels/triangle.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::linalg {
namespace {

using device::DeviceMatrix;

/// A <- A - L' L on and above the diagonal, in panels of columns.
template <class T>
void subtract_gram(const device::Context& gpu, DeviceView<const T> L, DeviceView<T> A) {
  const Index n = A.cols, width = triangle_panel(n);
  for (Index first = 0; first < n; first += width) {
    const Index last = std::min(n, first + width);
    gemm<T, T>(gpu, Transpose::yes, Transpose::no, -1, L.cols_from(0, last),
               L.cols_from(first, last - first), 1, A.block(0, first, last, last - first));
  }
}

template <class T>
DeviceMatrix<double> wide_diagonal(const device::Context& gpu, DeviceView<const T> H) {
  DeviceMatrix<T> narrow(gpu, 1, H.cols, "the diagonal of a Hessian");
  kernels::diagonal(gpu.main(), H, narrow.view());
  if constexpr (std::is_same_v<T, double>) {
    return narrow;
  } else {
    DeviceMatrix<double> wide(gpu, 1, H.cols, "the diagonal of a Hessian");
    kernels::convert<float, double>(gpu.main(), read_only(narrow.view()), wide.view());
    return wide;
  }
}

}  // namespace

template <class T>
bool pivoted_order(const device::Context& gpu, DeviceView<const T> H,
                   std::vector<std::int32_t>& order) {
  const Index n = H.rows, most = std::min(n, pivoting_panel),
              blocks = (n + kernels::pivot_block - 1) / kernels::pivot_block;
  CONSTRICTOR_REQUIRE(H.cols == n, n, H.cols);
  order.resize(static_cast<std::size_t>(n));
  if (n == 0) return true;
  const auto& stream = gpu.main();
  std::vector<std::int32_t> left(static_cast<std::size_t>(n));  // columns of H, rising
  std::iota(left.begin(), left.end(), 0);
  DeviceMatrix<T> A[2], L[2];
  for (auto& a : A) a = {gpu, n, n, "what pivoting has left"};
  for (auto& l : L) l = {gpu, most, n, "rows of pivots"};
  DeviceMatrix<double> diagonal[2] = {wide_diagonal(gpu, H), {gpu, 1, n, "a diagonal"}};
  DeviceMatrix<double> least(gpu, 2, blocks, "least entries"), pivots(gpu, 1, most, "pivots");
  DeviceMatrix<std::int32_t> at(gpu, 2, blocks, "places of the least"),
      chosen(gpu, 1, most, "columns of pivots");
  DeviceView<const T> now = H;
  for (int number = 0; !left.empty(); ++number) {
    const Index m = static_cast<Index>(left.size()), width = std::min(m, most);
    const auto rows = L[0].view().cols_from(0, m);
    const kernels::PivotPanel<T> panel{
        now,          rows,      diagonal[number % 2].view().cols_from(0, m),
        least.view(), at.view(), pivots.view(),
        chosen.view()};
    kernels::find_least(stream, panel);
    for (Index k = 0; k < width; ++k) kernels::eliminate(stream, panel, k);
    const auto values = device::downloaded<double>(gpu, pivots.view());
    const auto columns = device::downloaded<std::int32_t>(gpu, chosen.view());
    std::vector<bool> taken(left.size(), false);
    for (Index k = 0; k < width; ++k) {
      const double pivot = values(0, k);
      if (!(pivot > 0) || !std::isfinite(pivot)) return false;
      const auto column = static_cast<std::size_t>(columns(0, k));
      taken[column] = true;
      order[left.size() - static_cast<std::size_t>(k) - 1] = left[column];
    }
    std::vector<std::int32_t> kept, still_left;
    for (std::size_t c = 0; c < left.size(); ++c)
      if (!taken[c]) {
        kept.push_back(static_cast<std::int32_t>(c));
        still_left.push_back(left[c]);
      }
    left = std::move(still_left);
    const Index rest = static_cast<Index>(kept.size());
    if (rest == 0) break;
    const auto positions = device::uploaded(gpu, kept, "columns that are left");
    const auto next = A[number % 2].view().block(0, 0, rest, rest);
    const auto panel_rows = L[1].view().block(0, 0, width, rest);
    kernels::keep_columns<T>(stream, now, positions.data(), false, next);
    kernels::keep_columns<T>(stream, read_only(rows.rows_from(0, width)), positions.data(), true,
                             panel_rows);
    kernels::keep_columns<double>(stream, read_only(panel.diagonal), positions.data(), true,
                                  diagonal[(number + 1) % 2].view().cols_from(0, rest));
    subtract_gram<T>(gpu, read_only(panel_rows), next);
    now = read_only(next);
  }
  return true;
}

template bool pivoted_order(const device::Context&, DeviceView<const float>,
                            std::vector<std::int32_t>&);
template bool pivoted_order(const device::Context&, DeviceView<const double>,
                            std::vector<std::int32_t>&);

}  // namespace constrictor::linalg
