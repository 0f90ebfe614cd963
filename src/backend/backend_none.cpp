// SPDX-License-Identifier: Apache-2.0
// A build without CUDA: device::choose_device has refused `device: cuda` before.
#include "backend/backend.hpp"

namespace constrictor::backend {

std::unique_ptr<Backend> make_device_backend(const comm::Communicator&, const device::Device&,
                                             const BackendSettings&) {
  throw Bug("a device backend in a build without CUDA");
}

}  // namespace constrictor::backend
