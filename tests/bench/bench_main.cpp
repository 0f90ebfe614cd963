// SPDX-License-Identifier: Apache-2.0
// constrictor_bench: how fast every phase of a layer runs, beside a plain float32 product of the
// same size in the same run. Its options: constrictor_bench --help.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/text_table.hpp"
#include "core/threads.hpp"
#include "core/timer.hpp"
#include "device/device.hpp"
#include "inputs.hpp"
#include "linalg/gemm.hpp"
#include "phases.hpp"
#include "timing.hpp"

using namespace constrictor;
using namespace constrictor::bench;

namespace {

constexpr const char* usage =
    "usage: constrictor_bench [--shape INxOUT]... [--bits B] [--rows N] [--tokens T]\n"
    "  --shape   a layer by its inputs and outputs; may be repeated (default: seven shapes)\n"
    "  --bits    of a code (default 2)\n"
    "  --rows    rows of a layer that are timed at most (default 512)\n"
    "  --tokens  of a chunk, rounded up to whole sequences of 256 (default 2048)\n";

struct Options {
  std::vector<Shape> shapes;
  Settings settings;
};

Options parse(const std::vector<std::string>& words) {
  Options options;
  Settings& settings = options.settings;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    const std::string& key = words[i];
    const std::string value = i + 1 < words.size() ? words[i + 1] : "";
    const Index number = std::atoll(value.c_str());
    if (key == "--help") throw UserError(usage);
    if (number <= 0) throw UserError(key + " takes a positive number\n" + usage);
    if (key == "--shape") {
      const auto cross = value.find('x');
      const Index out = cross == std::string::npos ? 0 : std::atoll(value.c_str() + cross + 1);
      if (out <= 0) throw UserError("--shape takes INxOUT, for example 1024x2816");
      options.shapes.push_back({number, out});
    } else if (key == "--bits") {
      settings.bits = static_cast<int>(std::min<Index>(number, 8));
    } else if (key == "--rows") {
      settings.most_rows = number;
    } else if (key == "--tokens") {
      settings.tokens = (number + settings.length - 1) / settings.length * settings.length;
    } else {
      throw UserError(key + ": no such option\n" + usage);
    }
  }
  if (options.shapes.empty())
    options.shapes = {{128, 128},   {128, 352},   {352, 128},  {1024, 1024},
                      {1024, 2816}, {2816, 1024}, {4096, 4096}};
  return options;
}

/// One phase on one number of threads.
struct Measured {
  int threads;
  double seconds, gflops, share;  // share of a plain product's GFLOP/s
};
struct Row {
  Phase phase;
  std::vector<Measured> measured;  // one thread first, all threads last
};

std::vector<Row> time_phases(std::vector<Phase> phases, PlainProducts& plain) {
  const int all = choose_threads(0, 1);
  std::vector<Row> rows;
  for (Phase& phase : phases) {
    Row row{std::move(phase), {}};
    for (const int threads : all > 1 ? std::vector<int>{1, all} : std::vector<int>{1}) {
      choose_threads(threads, 1);
      const double of_plain = plain.gflops(row.phase.reference, threads);
      const double seconds = median_seconds(row.phase.run);
      const double gflops = row.phase.operations / seconds * 1e-9;
      row.measured.push_back({threads, seconds, gflops, gflops / of_plain});
    }
    rows.push_back(std::move(row));
  }
  choose_threads(0, 1);
  return rows;
}

std::string text(const char* format, double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string table(const std::string& title, const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> cells{{title, "GFLOP"}};
  for (const Measured& m : rows.front().measured)
    cells[0].insert(cells[0].end(),
                    {"ms on " + std::to_string(m.threads), "GFLOP/s", "% of sgemm"});
  for (const Row& row : rows) {
    const bool counted = row.phase.operations > 0;
    cells.push_back({row.phase.name, counted ? text("%.3g", row.phase.operations * 1e-9) : "-"});
    for (const Measured& m : row.measured) {
      cells.back().push_back(text("%.2f", m.seconds * 1e3));
      cells.back().push_back(counted ? text("%.0f", m.gflops) : "-");
      cells.back().push_back(counted ? text("%.0f", 100 * m.share) : "-");
    }
  }
  return text_table(cells);
}

/// What the project aims at, on all threads: smallest shares of sgemm among layers of 1024 inputs
/// and more, and the grid search of whole rows beside the longer one of sweep and refinement.
class Verdict {
 public:
  void add(Shape shape, const std::vector<Row>& rows) {
    double longest_other = 0, grid = 0;
    for (const Row& row : rows) {
      const auto& [phase, measured] = row;
      const Measured& m = measured.back();
      if (phase.kind == Kind::statistics && shape.in >= 1024)
        statistics_ = std::min(statistics_, m.share);
      if (phase.kind == Kind::sweep && shape.in >= 1024) sweep_ = std::min(sweep_, m.share);
      if (phase.name == "grid search, rows") grid = m.seconds;
      if (phase.kind == Kind::sweep || phase.kind == Kind::refine)
        longest_other = std::max(longest_other, m.seconds);
    }
    grid_ = std::max(grid_, grid / longest_other);
  }
  void print() const {
    if (sweep_ < 1e9)
      std::printf(
          "from 1024 inputs on: statistics at least %.0f %% of sgemm (aim 70), column sweep "
          "%.0f %% (aim 35)\n",
          100 * statistics_, 100 * sweep_);
    std::printf(
        "grid search of rows: at most %.1f times the longer one of sweep and refinement "
        "(aim 1)\n",
        grid_);
  }

 private:
  double statistics_ = 1e9, sweep_ = 1e9, grid_ = 0;
};

void run(const Options& options) {
  const ThreadPlan plan = plan_threads(0, usable_cores(), {});
  apply(plan);
  std::printf("%s; %s; products by %s; codes of %d bits, chunks of %ld tokens\n\n",
              device::cpu_description().c_str(), plan.description.c_str(),
              linalg::product_library().c_str(), options.settings.bits, options.settings.tokens);
  const auto by_work = [](const Shape& a, const Shape& b) {
    return a.in * a.in * a.out < b.in * b.in * b.out;
  };
  const auto smallest = std::min_element(options.shapes.begin(), options.shapes.end(), by_work);
  PlainProducts plain;
  Verdict verdict;
  const double start = wall_seconds();
  for (auto shape = options.shapes.begin(); shape != options.shapes.end(); ++shape) {
    const Inputs inputs = make_inputs(*shape, options.settings);
    const auto rows = time_phases(phases_of(inputs, shape == smallest), plain);
    const std::string part = inputs.rows < shape->out ? std::to_string(inputs.rows) + " of " : "";
    std::printf("%s\n", table(std::to_string(shape->in) + " inputs, " + part +
                                  std::to_string(shape->out) + " rows",
                              rows)
                            .c_str());
    std::fflush(stdout);
    verdict.add(*shape, rows);
  }
  std::printf("%s\n", operation_counts);
  verdict.print();
  std::printf("measured in %.0f s\n", wall_seconds() - start);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(std::vector<std::string>(argv + 1, argv + argc)));
    return 0;
  } catch (const UserError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "constrictor_bench: %s\n", error.what());
    return 1;
  }
}
