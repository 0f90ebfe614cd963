// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <unistd.h>

#include "core/handle.hpp"

namespace constrictor::io {

struct DescriptorApi {
  using Raw = int;
  static Raw empty() { return -1; }
  static void destroy(Raw number) noexcept { ::close(number); }
};
/// Sole owner of an open file of the operating system.
using Descriptor = Handle<DescriptorApi>;

}  // namespace constrictor::io
