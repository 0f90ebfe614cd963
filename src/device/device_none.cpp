// SPDX-License-Identifier: Apache-2.0
// The device layer of a build without CUDA.
#include "core/error.hpp"
#include "device/device.hpp"

namespace constrictor::device {

bool built_with_cuda() { return false; }

std::string cuda_description() { return "none (built without CUDA)"; }

Device choose_cuda_device(int /*node_local_rank*/) {
  throw UserError(
      "run.device: cuda: this program was built without CUDA (cmake -DCONSTRICTOR_CUDA=ON); "
      "run on the CPU with --set run.device=cpu");
}

}  // namespace constrictor::device
