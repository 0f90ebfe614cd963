// SPDX-License-Identifier: Apache-2.0
#include "device/device.hpp"

#include <fstream>

#include "core/error.hpp"
#include "core/threads.hpp"

namespace constrictor::device {

std::string cpu_description() {
  std::string name = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      name = line.substr(colon + 2);
      break;
    }
  }
  const std::size_t cores = usable_cores().size();
  return name + ", " + std::to_string(cores) + (cores == 1 ? " core" : " cores");
}

Device choose_device(const std::string& wanted, int node_local_rank) {
  if (wanted == "cpu") return {"cpu", cpu_description(), 0};
  if (wanted == "cuda") return choose_cuda_device(node_local_rank);
  throw UserError("run.device: '" + wanted + "' is no device; allowed: cpu, cuda");
}

}  // namespace constrictor::device
