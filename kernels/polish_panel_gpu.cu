// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_of.cuh"
#include "kernels/launch.cuh"
#include "kernels/polish_panel.hpp"

namespace constrictor::kernels {
namespace {

constexpr int warps = 4, threads = warps * warp_size;
constexpr int row_pitch = static_cast<int>(sweep_panel);

/// One warp a row; its R lies in shared memory. All lanes find the same code.
__global__ void polish_rows(DeviceView<float> R, DeviceView<const float> H, const float* weight,
                            RowGrids grids, Index first, DeviceView<std::uint8_t> codes,
                            DeviceView<float> push) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size,
            warp = static_cast<int>(threadIdx.x) / warp_size;
  const Index i = Index{blockIdx.x} * warps + warp;
  if (i >= R.rows) return;
  const int n = static_cast<int>(R.cols);
  const float w = weight != nullptr ? weight[i] : 1.f;
  float* r = dynamic_shared<float>() + warp * row_pitch;
  for (int c = lane; c < n; c += warp_size) r[c] = R(i, c);
  __syncwarp();
  for (int c = 0; c < n; ++c) {
    const Index group = (first + c) / grids.size;
    const float scale = grids.scale(i, group), zero = grids.zero(i, group);
    const float old = static_cast<float>(codes(i, c)), q = scale * (old - zero);
    const float code = device_code_of(q + r[c] / (w * H(c, c)), scale, zero, grids.top);
    const float moved = code == old ? 0.f : w * (scale * (code - old));
    __syncwarp();  // all have read r[c] and the code
    if (lane == 0) {
      push(i, c) = moved;
      codes(i, c) = static_cast<std::uint8_t>(code);
    }
    if (code != old)
      for (int j = lane; j < n; j += warp_size) r[j] -= moved * H(c, j);
    __syncwarp();
  }
  for (int c = lane; c < n; c += warp_size) R(i, c) = r[c];
}

}  // namespace

void polish_panel(const device::Stream& stream, DeviceView<float> R, DeviceView<const float> H,
                  const float* weight, const RowGrids& grids, Index first,
                  DeviceView<std::uint8_t> codes, DeviceView<float> push) {
  const LaunchShape shape{grid_of(R.rows, warps, 0x7fffffff), dim3(threads),
                          sizeof(float) * warps * row_pitch};
  launch("polish_panel", polish_rows, shape, stream, R, H, weight, grids, first, codes, push);
}

}  // namespace constrictor::kernels
