// SPDX-License-Identifier: Apache-2.0
// constrictor_bench: how fast every phase of a layer runs, beside a plain float32 product of the
// same size in the same run.   constrictor_bench [--shape INxOUT]... [--bits B] [--rows N]
// [--tokens T]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/text_table.hpp"
#include "core/threads.hpp"
#include "core/timer.hpp"
#include "device/device.hpp"
#include "inputs.hpp"
#include "linalg/gemm.hpp"
#include "phases.hpp"

using namespace constrictor;
using namespace constrictor::bench;

namespace {

struct Options {
  std::vector<Shape> shapes;
  Settings settings;
};

const char* usage =
    "usage: constrictor_bench [--shape INxOUT]... [--bits B] [--rows N] [--tokens T]\n"
    "  --shape   a layer by its inputs and outputs; may be repeated (default: seven shapes up to "
    "4096x4096)\n"
    "  --rows    rows of a layer that are timed at most (default 512)\n";

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    const auto number = [&] {
      const Index value = i + 1 < argc ? std::atoll(argv[i + 1]) : 0;
      if (value <= 0) throw UserError(key + " takes a positive number");
      return value;
    };
    if (key == "--shape") {
      Shape shape;
      if (i + 1 >= argc || std::sscanf(argv[i + 1], "%ldx%ld", &shape.in, &shape.out) != 2 ||
          shape.in < 1 || shape.out < 1)
        throw UserError("--shape takes INxOUT, for example 1024x2816");
      options.shapes.push_back(shape);
    } else if (key == "--bits") {
      options.settings.bits = static_cast<int>(std::min<Index>(number(), 8));
    } else if (key == "--rows") {
      options.settings.most_rows = number();
    } else if (key == "--tokens") {
      options.settings.tokens = (number() + options.settings.length - 1) / options.settings.length *
                                options.settings.length;
    } else {
      throw UserError(key == "--help" ? usage : key + ": no such option\n" + usage);
    }
  }
  if (options.shapes.empty())
    options.shapes = {{128, 128},   {128, 352},   {352, 128},  {1024, 1024},
                      {1024, 2816}, {2816, 1024}, {4096, 4096}};
  return options;
}

/// Seconds of one call: the median of up to seven samples after one call that warms up. Short calls
/// are repeated within a sample, long ones sampled less often.
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

/// GFLOP/s of plain products, measured once per size and number of threads.
class References {
 public:
  double gflops(ProductSize size, int threads) {
    for (const auto& known : known_)
      if (known.size == size && known.threads == threads) return known.gflops;
    Matrix<float> A(size.m, size.k), B(size.k, size.n), C(size.m, size.n);
    A.fill(0.5f);
    B.fill(0.25f);
    const double seconds = median_seconds([&] {
      linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::no, 1.f, A.view(), B.view(),
                          0.f, C.view());
    });
    known_.push_back({size, threads, size.operations() / seconds * 1e-9});
    return known_.back().gflops;
  }

 private:
  struct Known {
    ProductSize size;
    int threads;
    double gflops;
  };
  std::vector<Known> known_;
};

std::string number(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// What the aims speak of: smallest shares of sgemm among layers of 1024 inputs and more, and how
/// the grid search compares with the longer one of sweep and refinement.
struct Verdict {
  double statistics = 1e9, sweep = 1e9, grid = 0;
};

void time_layer(Shape shape, const Options& options, bool full_search, References& references,
                Verdict& verdict) {
  const int all = choose_threads(0, 1);
  const Inputs inputs = make_inputs(shape, options.settings);
  std::vector<std::vector<std::string>> table;
  const std::string title = std::to_string(shape.in) + " inputs, " + std::to_string(inputs.rows) +
                            (inputs.rows < shape.out ? " of " + std::to_string(shape.out) : "") +
                            " rows";
  std::vector<std::string> head = {title, "GFLOP"};
  std::vector<int> thread_counts{1};
  if (all > 1) thread_counts.push_back(all);
  for (const int threads : thread_counts)
    head.insert(head.end(), {"ms on " + std::to_string(threads), "GFLOP/s", "% of sgemm"});
  table.push_back(head);
  double longest_other = 0, grid_rows = 0;
  for (const Phase& phase : phases_of(inputs, full_search)) {
    std::vector<std::string> row = {
        phase.name, phase.operations > 0 ? number("%.3g", phase.operations * 1e-9) : "-"};
    for (const int threads : thread_counts) {
      choose_threads(threads, 1);
      const double plain = references.gflops(phase.reference, threads),
                   seconds = median_seconds(phase.run);
      const double gflops = phase.operations / seconds * 1e-9;
      row.push_back(number("%.2f", seconds * 1e3));
      row.push_back(phase.operations > 0 ? number("%.0f", gflops) : "-");
      row.push_back(phase.operations > 0 ? number("%.0f", 100 * gflops / plain) : "-");
      if (threads != thread_counts.back()) continue;
      if (phase.kind == Kind::statistics)
        verdict.statistics = std::min(verdict.statistics, gflops / plain);
      if (phase.kind == Kind::sweep && large)
        verdict.sweep = std::min(verdict.sweep, gflops / plain);
      if (phase.name == "grid search, rows") grid_rows = seconds;
      if (phase.kind == Kind::sweep || phase.kind == Kind::refine)
        longest_other = std::max(longest_other, seconds);
    }
    table.push_back(row);
  }
  verdict.grid = std::max(verdict.grid, grid_rows / longest_other);
  choose_threads(0, 1);
  std::printf("%s\n", text_table(table).c_str());
  std::fflush(stdout);
}

void run(const Options& options) {
  const ThreadPlan plan = plan_threads(0, usable_cores(), {});
  apply(plan);
  std::printf("%s; %s; products by %s; codes of %d bits, chunks of %ld tokens\n\n",
              device::cpu_description().c_str(), plan.description.c_str(),
              linalg::product_library().c_str(), options.settings.bits, options.settings.tokens);
  const auto work = [](const Shape& s) { return s.in * s.in * s.out; };
  const auto smallest =
      std::min_element(options.shapes.begin(), options.shapes.end(),
                       [&](const Shape& a, const Shape& b) { return work(a) < work(b); });
  References references;
  Verdict verdict;
  const double start = wall_seconds();
  for (auto shape = options.shapes.begin(); shape != options.shapes.end(); ++shape)
    time_layer(*shape, options, shape == smallest, references, verdict);
  std::printf("%s\n", operation_counts);
  if (verdict.sweep < 1e9)
    std::printf(
        "from 1024 inputs on, all threads: statistics at least %.0f %% of sgemm (aim 70), column "
        "sweep %.0f %% (aim 35)\n",
        100 * verdict.statistics, 100 * verdict.sweep);
  std::printf(
      "grid search over rows: at most %.1f times the longer one of sweep and refinement (aim 1)\n",
      verdict.grid);
  std::printf("measured in %.0f s\n", wall_seconds() - start);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const UserError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "constrictor_bench: %s\n", error.what());
    return 1;
  }
}
