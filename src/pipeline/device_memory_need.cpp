// SPDX-License-Identifier: Apache-2.0
// From the table of moments to the decision whether a run may start.
#include <algorithm>
#include <numeric>

#include "core/memory.hpp"
#include "pipeline/device_memory_model.hpp"
#include "pipeline/device_memory_words.hpp"

namespace constrictor::pipeline {

void DeviceMoment::add(const std::string& what, double bytes) {
  if (bytes <= 0) return;
  for (MemoryItem& item : items)
    if (item.what == what) {
      item.bytes += bytes;
      return;
    }
  items.push_back({what, bytes});
}

double DeviceMoment::bytes() const {
  return std::accumulate(items.begin(), items.end(), 0.,
                         [](double sum, const MemoryItem& item) { return sum + item.bytes; });
}

DeviceMoment fullest_device_moment(const Job& job, const calib::Shard& shard, int ranks) {
  const auto moments = device_moments(job, shard, ranks);
  return *std::max_element(moments.begin(), moments.end(),
                           [](const auto& a, const auto& b) { return a.bytes() < b.bytes(); });
}

void require_device_memory(const DeviceMoment& fullest, double free, const std::string& device) {
  if (fullest.bytes() <= free) return;
  const auto largest =
      std::max_element(fullest.items.begin(), fullest.items.end(),
                       [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  const auto kind =
      std::find_if(device_memory::kinds.begin(), device_memory::kinds.end(),
                   [&](const device_memory::Kind& k) { return largest->what == k.what; });
  throw MemoryError(
      "not enough device memory: " + bytes_text(fullest.bytes()) + " predicted for the moment '" +
      fullest.name + "', most of it (" + bytes_text(largest->bytes) + ") for " + largest->what +
      ", " + bytes_text(free) + " are free on " + device + "; " +
      (kind == device_memory::kinds.end() ? "use a device with more memory" : kind->advice) +
      "; --force starts all the same");
}

}  // namespace constrictor::pipeline
