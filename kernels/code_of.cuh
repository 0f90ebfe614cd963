// SPDX-License-Identifier: Apache-2.0
#pragma once
// code_of of kernels/column_sweep.hpp for kernels. Included by *_gpu.cu only.
#include "kernels/launch.cuh"

namespace constrictor::kernels {

/// clamp(round(w / s) + z, 0, top), round half to even.
__device__ inline float device_code_of(float w, float scale, float zero, float top) {
  return fminf(fmaxf(rintf(w / scale) + zero, 0.f), top);
}

}  // namespace constrictor::kernels
