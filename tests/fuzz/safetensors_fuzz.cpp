// SPDX-License-Identifier: Apache-2.0
// libFuzzer over the parser of safetensors headers: whatever the bytes, a header or a UserError; an
// accepted header never points outside the file. Anything else (crash, other exception, sanitizer
// report, more memory than the limit) is a finding.
#include <cstdlib>

#include "core/error.hpp"
#include "io/safetensors_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace constrictor;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const io::SafetensorsHeader header = io::parse_safetensors_header(bytes, size);
    for (const io::TensorEntry& tensor : header.tensors)
      if (tensor.begin < header.bytes || tensor.begin > tensor.end || tensor.end > size ||
          header.find(tensor.name) != &tensor)
        std::abort();
  } catch (const UserError&) {
  }
  return 0;
}
