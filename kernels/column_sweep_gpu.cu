// SPDX-License-Identifier: Apache-2.0
// A block of 4 warps takes 32 rows; lane r of every warp stands for row r. Strips of 16 columns:
// warp 0 does the recursion of a strip with the row's 16 weights in registers, while the other
// warps still spread the strip before it over the columns behind; then all four spread the new
// strip over the next one.
#include "kernels/code_of.cuh"
#include "kernels/column_sweep.hpp"
#include "kernels/launch.cuh"

namespace constrictor::kernels {
namespace {

constexpr int strip = 16, block_rows = warp_size, warps = 4, threads = warps * warp_size;
constexpr int panel_pitch = static_cast<int>(sweep_panel);  // of U and P in shared memory
constexpr int row_pitch = block_rows + 1;                   // of [column][row]: no bank conflicts

struct Sweep {
  DeviceView<float> W;
  DeviceView<const float> U, P;
  DevicePanelGrid grid;
  DeviceView<float> errors;
  DeviceView<std::uint8_t> codes;
  int padded;  // columns, up to a whole strip
};

/// What a block keeps in dynamic shared memory.
struct Shared {
  float* U;  // [padded][panel_pitch]; beyond the panel the identity
  float* P;  // the same; beyond the panel zeros
  float* W;  // [padded][row_pitch]
  float* E;  // [2][strip][row_pitch] errors of this strip and of the one before
};

__device__ void load_upper(DeviceView<const float> M, int padded, float diagonal, float* out) {
  const int n = static_cast<int>(M.cols);
  for (int i = static_cast<int>(threadIdx.x); i < padded * panel_pitch; i += threads) {
    const int r = i / panel_pitch, c = i % panel_pitch;
    out[i] = r <= c && c < n ? M(r, c) : r == c ? diagonal : 0.f;
  }
}

__device__ void load_rows(DeviceView<const float> W, Index first_row, int padded, float* out) {
  for (int i = static_cast<int>(threadIdx.x); i < block_rows * panel_pitch; i += threads) {
    const int r = i / panel_pitch, c = i % panel_pitch;
    if (c < padded)
      out[c * row_pitch + r] = c < W.cols && first_row + r < W.rows ? W(first_row + r, c) : 0.f;
  }
}

/// The columns of the strip at `first`, one after the other; this lane's row.
template <bool with_drift>
__device__ void recurse(const Sweep& sweep, const Shared& shared, Index row, int first, float* E,
                        std::uint8_t* codes) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size, last = static_cast<int>(sweep.W.cols);
  float w[strip], scale[strip], zero[strip];
  CONSTRICTOR_UNROLL
  for (int c = 0; c < strip; ++c) {
    const int column = first + c < last ? first + c : last - 1;
    const std::int32_t group = sweep.grid.group[column];
    w[c] = shared.W[(first + c) * row_pitch + lane];
    scale[c] = sweep.grid.scale(row, group);
    zero[c] = sweep.grid.zero(row, group);
  }
  CONSTRICTOR_UNROLL
  for (int c = 0; c < strip; ++c) {
    const float* u = shared.U + (first + c) * panel_pitch + first;
    const float* p = shared.P + (first + c) * panel_pitch + first;
    const float code = device_code_of(w[c], scale[c], zero[c], sweep.grid.top);
    const float error = (w[c] - scale[c] * (code - zero[c])) / u[c];
    CONSTRICTOR_UNROLL
    for (int j = c + 1; j < strip; ++j) {
      w[j] -= error * u[j];
      if constexpr (with_drift) w[j] += w[c] * p[j];
    }
    E[c * row_pitch + lane] = error;
    codes[c * block_rows + lane] = static_cast<std::uint8_t>(code);
  }
  CONSTRICTOR_UNROLL
  for (int c = 0; c < strip; ++c) shared.W[(first + c) * row_pitch + lane] = w[c];
}

/// w_j -= sum over the strip at `first` of e_c U_cj - w_c P_cj for columns j in [from, to), four at
/// a time by one of `workers` warps.
template <bool with_drift>
__device__ void spread(const Shared& shared, int first, const float* E, int from, int to,
                       int worker, int workers) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  float error[strip], w[strip];
  CONSTRICTOR_UNROLL
  for (int c = 0; c < strip; ++c) {
    error[c] = E[c * row_pitch + lane];
    if constexpr (with_drift) w[c] = shared.W[(first + c) * row_pitch + lane];
  }
  for (int j = from + 4 * worker; j < to; j += 4 * workers) {
    float* row = shared.W + j * row_pitch + lane;
    float sum[4] = {row[0], row[row_pitch], row[2 * row_pitch], row[3 * row_pitch]};
    const auto add = [&](float factor, const float* matrix) {
      const float4 m = *reinterpret_cast<const float4*>(matrix + j);
      sum[0] += factor * m.x;
      sum[1] += factor * m.y;
      sum[2] += factor * m.z;
      sum[3] += factor * m.w;
    };
    CONSTRICTOR_UNROLL
    for (int c = 0; c < strip; ++c) {
      add(-error[c], shared.U + (first + c) * panel_pitch);
      if constexpr (with_drift) add(w[c], shared.P + (first + c) * panel_pitch);
    }
    CONSTRICTOR_UNROLL
    for (int k = 0; k < 4; ++k) row[k * row_pitch] = sum[k];
  }
}

__device__ void store_strip(const Sweep& sweep, const Shared& shared, Index first_row, int first,
                            const float* E, const std::uint8_t* codes) {
  for (int i = static_cast<int>(threadIdx.x); i < strip * block_rows; i += threads) {
    const int c = i % strip, r = i / strip;
    const Index row = first_row + r, column = first + c;
    if (row >= sweep.W.rows || column >= sweep.W.cols) continue;
    sweep.W(row, column) = shared.W[column * row_pitch + r];
    sweep.errors(row, column) = E[c * row_pitch + r];
    sweep.codes(row, column) = codes[c * block_rows + r];
  }
}

template <bool with_drift>
__global__ void sweep_panel_of_rows(Sweep sweep) {
  __shared__ std::uint8_t codes[strip * block_rows];
  Shared shared;
  const int padded = sweep.padded;
  shared.U = dynamic_shared<float>();
  shared.P = with_drift ? shared.U + padded * panel_pitch : shared.U;
  shared.W = shared.P + padded * panel_pitch;
  shared.E = shared.W + padded * row_pitch;
  const int warp = static_cast<int>(threadIdx.x) / warp_size,
            lane = static_cast<int>(threadIdx.x) % warp_size;
  const Index first_row = Index{blockIdx.x} * block_rows;
  const Index row = first_row + lane < sweep.W.rows ? first_row + lane : sweep.W.rows - 1;
  load_upper(sweep.U, padded, 1.f, shared.U);
  if constexpr (with_drift) load_upper(sweep.P, padded, 0.f, shared.P);
  load_rows(sweep.W, first_row, padded, shared.W);
  __syncthreads();
  float *E = shared.E, *before = shared.E + strip * row_pitch;
  for (int first = 0; first < padded; first += strip) {
    if (first > 0)
      spread<with_drift>(shared, first - strip, before, first, first + strip, warp, warps);
    __syncthreads();
    if (warp == 0)
      recurse<with_drift>(sweep, shared, row, first, E, codes);
    else if (first > 0)
      spread<with_drift>(shared, first - strip, before, first + strip, padded, warp - 1, warps - 1);
    __syncthreads();
    store_strip(sweep, shared, first_row, first, E, codes);
    float* const swapped = E;
    E = before;
    before = swapped;
  }
}

}  // namespace

void column_sweep(const device::Stream& stream, DeviceView<float> W, DeviceView<const float> U,
                  DeviceView<const float> P, const DevicePanelGrid& grid, DeviceView<float> errors,
                  DeviceView<std::uint8_t> codes) {
  CONSTRICTOR_REQUIRE(W.cols <= sweep_panel && U.rows == W.cols && U.cols == W.cols, W.cols, U.rows,
                      U.cols);
  CONSTRICTOR_REQUIRE(errors.rows == W.rows && errors.cols == W.cols && codes.rows == W.rows &&
                          codes.cols == W.cols && grid.scale.rows == W.rows,
                      W.rows, W.cols, errors.rows, errors.cols, codes.rows, codes.cols,
                      grid.scale.rows);
  if (W.size() == 0) return;
  const bool with_drift = P.rows > 0;
  const int padded = static_cast<int>((W.cols + strip - 1) / strip * strip);
  const int floats =
      padded * panel_pitch * (with_drift ? 2 : 1) + padded * row_pitch + 2 * strip * row_pitch;
  launch("column_sweep", with_drift ? sweep_panel_of_rows<true> : sweep_panel_of_rows<false>,
         {grid_of(W.rows, block_rows), dim3(threads),
          sizeof(float) * static_cast<std::size_t>(floats)},
         stream, Sweep{W, U, P, grid, errors, codes, padded});
}

}  // namespace constrictor::kernels
