// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/memory.hpp"
#include "core/threads.hpp"
#include "pipeline/memory_model.hpp"

namespace constrictor::pipeline {
namespace {

/// Large matrices that find room in the main heap, free but for what the moment keeps there itself.
void move_into_heap(double room, Moment& m) {
  room -= m.kept[0];
  for (const double bytes : m.large)
    if (bytes <= room) {
      room -= bytes;
      m.returned -= bytes;
      m.kept[0] += bytes;
    }
}

double alive(const Moment& m) {
  return m.returned + std::accumulate(m.kept.begin(), m.kept.end(), 0.);
}

}  // namespace

void Moment::add(const std::string& what, Heap heap, double count, double bytes) {
  if (count <= 0 || bytes <= 0) return;
  const auto same = [&](const MemoryItem& item) { return item.what == what; };
  auto item = std::find_if(items.begin(), items.end(), same);
  if (item == items.end()) item = items.insert(items.end(), {what, 0});
  item->bytes += count * bytes;
  if (bytes < static_cast<double>(kept_below)) {
    kept[static_cast<std::size_t>(heap)] += count * bytes;
  } else {
    returned += count * bytes;
    large.insert(large.end(), static_cast<std::size_t>(std::ceil(count)), bytes);
  }
}

FullestMoment fullest_moment(const Job& job, const calib::Shard& shard, int ranks) {
  // Holes between what is alive that nothing fits into; measured on the benchmark's models.
  constexpr double holes = 0.06;
  // Code, libraries, their buffers; a generous guess for the host side of CUDA and cuBLAS.
  const double cuda = job.spec.run.device == "cuda" ? 600. : 0.;
  const double program = (47. + 2. * thread_count() + cuda) * (1 << 20);
  FullestMoment fullest;
  std::array<double, heaps> kept{};
  const auto consider = [&](const Moment& m) {
    const double in_heaps = std::accumulate(kept.begin(), kept.end(), 0.);
    const double used = alive(m) - m.returned,
                 bytes = m.returned + in_heaps * (1 + holes) + program;
    const bool equal = std::abs(bytes - fullest.bytes) < 1;  // then the one where most is alive
    if (bytes < fullest.bytes && !equal) return;
    FullestMoment candidate{m.name, m.items, bytes};
    candidate.items.push_back(
        {"freed before and kept for the next", in_heaps * (1 + holes) - used});
    candidate.items.push_back({"program and libraries", program});
    if (!equal || candidate.items.end()[-2].bytes < fullest.items.end()[-2].bytes)
      fullest = candidate;
  };
  const auto widen = [&](const Moment& m) {
    for (std::size_t h = 0; h < heaps; ++h) kept[h] = std::max(kept[h], m.kept[h]);
  };
  const auto walk = walk_moments(job, shard, ranks);
  for (const Moment& m : walk) widen(m);  // blocks follow one another: each moment comes after all
  for (const Moment& m : walk) consider(m);
  Moment last = evaluation_moment(job, shard, ranks);
  move_into_heap(0.7 * kept[0], last);  // the rest lies in holes that are too small
  widen(last);
  if (!last.items.empty()) consider(last);
  return fullest;
}

}  // namespace constrictor::pipeline
