// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace constrictor::device {

/// Where a rank's matrix work runs.
struct Device {
  std::string name;         // "cpu" or "cuda", as in the deck
  std::string description;  // for people and for the record: "AMD EPYC 9654, 96 cores"
  int number = 0;           // of a cuda device, as CUDA counts what is visible
};

/// The device that the deck wants, for the rank that is number `node_local_rank` on its node.
/// UserError when it cannot be had: what is missing and how to run on the CPU.
Device choose_device(const std::string& wanted, int node_local_rank);

/// True in builds with CONSTRICTOR_CUDA=ON.
bool built_with_cuda();

/// For `--version`: "CUDA runtime 13.0, driver 13.0, 2 devices" or "none (built without CUDA)".
/// Never throws: a build with CUDA must start on a machine without a driver.
std::string cuda_description();

/// The processor's own name for itself and how many cores this process may use.
std::string cpu_description();

/// device_cuda.cpp or device_none.cpp; CMake picks one, so that callers need no #ifdef. Rank k of a
/// node drives device k of those visible. Where one is visible, every rank is taken to have been
/// bound to a device of its own (slurm/bind_gpu.sh); comm::DeviceCommunicator finds out if not.
Device choose_cuda_device(int node_local_rank);

}  // namespace constrictor::device
