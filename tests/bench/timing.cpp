// SPDX-License-Identifier: Apache-2.0
#include "timing.hpp"

#include <algorithm>

#include "core/timer.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::bench {

double median_seconds(const std::function<void()>& run) {
  constexpr std::size_t most_samples = 7;
  constexpr double shortest_sample = 0.005, enough = 0.25;
  const auto sample = [&](Index calls) {
    const double start = wall_seconds();
    for (Index i = 0; i < calls; ++i) run();
    return (wall_seconds() - start) / static_cast<double>(calls);
  };
  const double first = sample(1);
  if (first > enough) return first;
  const Index calls = 1 + static_cast<Index>(shortest_sample / first);
  std::vector<double> samples;
  for (double spent = 0; samples.size() < most_samples && (samples.empty() || spent < enough);) {
    samples.push_back(sample(calls));
    spent += samples.back() * static_cast<double>(calls);
  }
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

double PlainProducts::gflops(ProductSize size, int threads) {
  for (const Known& known : known_)
    if (known.size == size && known.threads == threads) return known.gflops;
  Matrix<float> A(size.m, size.k), B(size.k, size.n), C(size.m, size.n);
  A.fill(0.5f);
  B.fill(0.25f);
  const double seconds = median_seconds([&] {
    linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::no, 1.f, A.view(), B.view(), 0.f,
                        C.view());
  });
  const double operations =
      2. * static_cast<double>(size.m) * static_cast<double>(size.n) * static_cast<double>(size.k);
  known_.push_back({size, threads, operations / seconds * 1e-9});
  return known_.back().gflops;
}

}  // namespace constrictor::bench
