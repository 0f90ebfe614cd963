// SPDX-License-Identifier: Apache-2.0
#include "kernels/polish_panel.hpp"

namespace constrictor::kernels {

template <class T>
void polish_panel(View<T> R, View<const T> H, const T* weight, const PanelGrid<T>& grid,
                  View<std::uint8_t> codes, View<T> change) {
  const Index n = R.cols;
  CONSTRICTOR_REQUIRE(n <= sweep_panel && H.rows == n && codes.cols == n, n, H.rows, codes.cols);
  T curvature[sweep_panel];
  for (Index c = 0; c < n; ++c) curvature[c] = H(c, c);
  for (Index i = 0; i < R.rows; ++i) {
    const T w = weight != nullptr ? weight[i] : T(1);
    T* r = R.row(i);
    for (Index c = 0; c < n; ++c) {
      const T scale = grid.scale(i, grid.group[c]), zero = grid.zero(i, grid.group[c]);
      const T old = T(codes(i, c)), q = scale * (old - zero);
      const T code = code_of<T>(q + r[c] / (w * curvature[c]), scale, zero, grid.top);
      change(i, c) = 0;
      if (code == old) continue;
      const T step = scale * (code - old), spread = w * step;
      codes(i, c) = static_cast<std::uint8_t>(code);
      change(i, c) = step;
      const T* h = H.row(c);
      for (Index j = 0; j < n; ++j) r[j] -= spread * h[j];
    }
  }
}

template void polish_panel(View<float>, View<const float>, const float*, const PanelGrid<float>&,
                           View<std::uint8_t>, View<float>);
template void polish_panel(View<double>, View<const double>, const double*,
                           const PanelGrid<double>&, View<std::uint8_t>, View<double>);

}  // namespace constrictor::kernels
