// SPDX-License-Identifier: Apache-2.0
#pragma once
// One thread an element of a row-major matrix. Included by *_gpu.cu only.
#include <algorithm>

#include "kernels/launch.cuh"

namespace constrictor::kernels {

template <class Element>
__global__ void element_kernel(Index rows, Index cols, Element element) {
  const Index first_row = Index(blockIdx.y) * blockDim.y + threadIdx.y;
  const Index first_col = Index(blockIdx.x) * blockDim.x + threadIdx.x;
  for (Index r = first_row; r < rows; r += Index(gridDim.y) * blockDim.y)
    for (Index c = first_col; c < cols; c += Index(gridDim.x) * blockDim.x) element(r, c);
}

/// element(r, c) for all r < rows, c < cols, in no order. Neighbouring threads hold neighbouring
/// columns; `Element` is a small struct with a __device__ call operator.
template <class Element>
void for_each_element(const char* name, const device::Stream& stream, Index rows, Index cols,
                      const Element& element) {
  const dim3 threads(warp_size, 8);
  const dim3 across = grid_of(cols, threads.x), down = grid_of(rows, threads.y, 1 << 12);
  launch(name, element_kernel<Element>, {dim3(across.x, down.x), threads}, stream, rows, cols,
         element);
}

}  // namespace constrictor::kernels
