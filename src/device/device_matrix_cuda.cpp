// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include "device/check_cuda.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::device {
namespace {

void queue(const detail::Copy2D& copy, cudaMemcpyKind kind, const Stream& stream) {
  if (copy.width == 0 || copy.rows == 0) return;
  const bool whole =
      copy.rows == 1 || (copy.from_stride == copy.width && copy.to_stride == copy.width);
  if (whole)
    CONSTRICTOR_CUDA(
        cudaMemcpyAsync(copy.to, copy.from, copy.width * copy.rows, kind, stream.raw()));
  else
    CONSTRICTOR_CUDA(cudaMemcpy2DAsync(copy.to, copy.to_stride, copy.from, copy.from_stride,
                                       copy.width, copy.rows, kind, stream.raw()));
}

}  // namespace

void detail::copy_to_device(const Copy2D& copy, const Stream& stream) {
  queue(copy, cudaMemcpyHostToDevice, stream);
}
void detail::copy_to_host(const Copy2D& copy, const Stream& stream) {
  queue(copy, cudaMemcpyDeviceToHost, stream);
}
void detail::copy_on_device(const Copy2D& copy, const Stream& stream) {
  queue(copy, cudaMemcpyDeviceToDevice, stream);
}

void detail::set_bytes(void* to, std::size_t stride, int value, std::size_t width, std::size_t rows,
                       const Stream& stream) {
  if (width == 0 || rows == 0) return;
  if (rows == 1 || stride == width)
    CONSTRICTOR_CUDA(cudaMemsetAsync(to, value, width * rows, stream.raw()));
  else
    CONSTRICTOR_CUDA(cudaMemset2DAsync(to, stride, value, width, rows, stream.raw()));
}

PinnedMemory::PinnedMemory(void* data, std::size_t bytes) {
  if (data == nullptr || bytes == 0) return;
  if (cudaHostRegister(data, bytes, cudaHostRegisterDefault) == cudaSuccess)
    data_ = data;
  else
    cudaGetLastError();  // the limit of locked memory (ulimit -l), or pages locked already
}

PinnedMemory::~PinnedMemory() {
  if (data_ != nullptr) cudaHostUnregister(data_);
}

}  // namespace constrictor::device
