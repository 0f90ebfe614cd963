// SPDX-License-Identifier: Apache-2.0
#include "phases.hpp"

#include <algorithm>
#include <memory>

#include "core/parallel.hpp"
#include "hessian/value_sums.hpp"
#include "kernels/column_sweep.hpp"
#include "linalg/factor.hpp"
#include "linalg/gemm.hpp"
#include "linalg/pivoted_order.hpp"
#include "quant/loss.hpp"
#include "quant/polish.hpp"
#include "quant/refine.hpp"
#include "quant/solvers.hpp"
#include "quant/sweep.hpp"

namespace constrictor::bench {
namespace {

constexpr Index tile_rows =
    128;  // rows that the program quantizes together (pipeline/solve_block.cpp)
constexpr Index group_size = 128, small_group = 32;

double real(Index n) { return static_cast<double>(n); }

/// fn(tile of W, number) for all tiles of `height` rows, one thread each: how the program shares
/// out rows.
template <class Function>
void for_each_tile(const Matrix<float>& W, Index height, Function&& fn) {
  parallel_for(pieces(W.rows(), height), [&](Index t) {
    const Piece rows = piece(W.rows(), height, t);
    fn(W.view().rows_from(rows.first, rows.size()), t);
  });
}

class PhaseList {
 public:
  explicit PhaseList(const Inputs& inputs)
      : in_(inputs), n_(real(inputs.in)), rows_(real(inputs.rows)) {}
  std::vector<Phase> phases;

  void statistics() {
    const double T = real(in_.settings.tokens);
    const ProductSize reference{in_.in, in_.in, in_.settings.tokens};
    const auto S = std::make_shared<Matrix<float>>(in_.in, in_.in);
    const auto add = [&](const char* name, double operations, std::function<void()> run) {
      phases.push_back({name, Kind::statistics, operations, reference, std::move(run)});
    };
    add("gram, float32", T * n_ * (n_ + 1),
        [this, S] { linalg::add_gram<float>(in_.X.view(), S->view()); });
    add("gram, bfloat16", T * n_ * (n_ + 1),
        [this, S] { linalg::add_gram<bfloat16>(in_.X_bf16.view(), S->view()); });
    add("cross, float32", 2 * T * n_ * n_,
        [this, S] { linalg::add_cross<float>(in_.X_full.view(), in_.X.view(), S->view()); });
    add("cross, bfloat16", 2 * T * n_ * n_, [this, S] {
      linalg::add_cross<bfloat16>(in_.X_full_bf16.view(), in_.X_bf16.view(), S->view());
    });
    value_sums("value sums, float32", Products::float32, reference);
    value_sums("value sums, bfloat16", Products::bfloat16, reference);
  }

  void factors() {
    const ProductSize reference{in_.in, in_.in, in_.in};
    const double operations = 2. / 3 * n_ * n_ * n_;
    const auto U = std::make_shared<Matrix<float>>(in_.in, in_.in);
    phases.push_back({"inverse factor", Kind::factor, operations, reference, [this, U] {
                        if (!linalg::inverse_factor<float>(in_.side.H.view(), U->view()))
                          throw Bug("no factor");
                      }});
    const auto order = std::make_shared<std::vector<std::int32_t>>();
    phases.push_back({"pivoted order", Kind::factor, n_ * n_ * n_ / 3, reference, [this, order] {
                        if (!linalg::pivoted_order<float>(in_.side.H.view(), *order))
                          throw Bug("no order");
                      }});
    phases.push_back({"drift propagator", Kind::factor, operations, reference, [this, U] {
                        *U = linalg::drift_propagator<float>(in_.D.view(), in_.side.U.view());
                      }});
  }

  void sweeps() {
    const auto add = [&](const char* name, double operations, bool drift, Index beam) {
      const auto side = std::make_shared<InputSide<float>>();
      side->U = in_.side.U;
      if (drift) side->P = in_.side.P;
      const auto grids = std::make_shared<std::vector<quant::Grid<float>>>(grids_of(0, tile_rows));
      phases.push_back({name, Kind::sweep, operations, layer_product(), [this, side, grids, beam] {
                          for_each_tile(in_.W, tile_rows, [&](View<const float> W, Index t) {
                            quant::sweep<float>(W, *side, (*grids)[static_cast<std::size_t>(t)],
                                                beam);
                          });
                        }});
    };
    add("column sweep", rows_ * n_ * n_, false, 1);
    add("column sweep, drift", 2 * rows_ * n_ * n_, true, 1);
    add("column sweep, beam 8", 8 * rows_ * n_ * n_, false, 8);
  }

  void searches(bool full) {
    search("grid search, rows", 0);
    if (grouping()) search("grid search, groups", group_size);
    if (grouping()) search("grid search, groups of 32", small_group);
    if (!full) return;
    phases.push_back(
        {"grid search, full", Kind::grid, 400 * rows_ * n_ * n_, layer_product(), [this] {
           for_each_tile(in_.W, tile_rows, [&](View<const float> W, Index) {
             Matrix<float> grid(W.rows, 2);
             quant::search_hessian_full<float>(W, in_.side.H.view(), quant::grid_settings(in_.spec),
                                               grid.data(), grid.data() + 1, 2);
           });
         }});
  }

  void refinements() {
    refine("refinement, rows", 0, false);
    refine("refinement, two-sided rows", 0, true);
    if (!grouping()) return;
    refine("refinement, groups", group_size, false);
    refine("refinement, two-sided groups", group_size, true);
  }

  /// Stages that follow on a solver's result (quant/solvers.cpp, finish).
  void descents() {
    descend("rows", 0, false);
    descend("two-sided rows", 0, true);
    if (!grouping()) return;
    descend("groups", group_size, false);
    descend("groups of 32", small_group, false);
  }

  void layers() {
    const auto add = [&](const char* name, Method method, const OutputSide<float>* output) {
      phases.push_back(
          {name, Kind::layer, 0, layer_product(), [this, method, output] {
             const auto& solver = quant::solver<float>(method);
             for_each_tile(in_.W, output != nullptr ? in_.settings.head_dim : tile_rows,
                           [&](View<const float> W, Index) {
                             solver.solve(W, in_.side, whole_head(W) ? output : nullptr, in_.spec);
                           });
           }});
    };
    add("whole layer, gptq", Method::gptq, nullptr);
    add("whole layer, turboboa heads", Method::turboboa, &in_.output);
  }

 private:
  ProductSize layer_product() const { return {in_.rows, in_.in, in_.in}; }
  bool grouping() const { return in_.in > group_size && in_.in % group_size == 0; }
  bool whole_head(View<const float> W) const { return W.rows == in_.settings.head_dim; }

  void value_sums(const char* name, Products products, ProductSize reference) {
    const Settings& s = in_.settings;
    const SumShape shape{.hidden = in_.in,
                         .heads = s.heads,
                         .kv_heads = s.kv_heads,
                         .head_dim = s.head_dim,
                         .drift = true,
                         .value_attention = true};
    const auto sums = std::make_shared<std::vector<InputSums>>();
    for (Index k = 0; k < s.kv_heads; ++k)
      sums->push_back({Matrix<float>(in_.in, in_.in), Matrix<float>(in_.in, in_.in)});
    const double T = real(s.tokens), L = real(s.length), group = real(s.heads) / real(s.kv_heads);
    const double path = group * (2. / 3 * L * L + L * real(s.head_dim)) * T + 2 * L * n_ * T;
    phases.push_back({name, Kind::statistics, real(s.kv_heads) * (2 * path + 3 * T * n_ * n_),
                      reference, [this, shape, sums, products] {
                        hessian::add_value_sums(shape, in_.trace, &in_.trace_full,
                                                in_.settings.length, products, 1.f, *sums);
                      }});
  }

  std::vector<quant::Grid<float>> grids_of(Index size, Index height) const {
    std::vector<quant::Grid<float>> grids(static_cast<std::size_t>(pieces(in_.rows, height)));
    const auto settings = quant::grid_settings(in_.grouped(size));
    for_each_tile(in_.W, height, [&](View<const float> W, Index t) {
      grids[static_cast<std::size_t>(t)] =
          quant::fit_grid<float>(W, quant::metric_of(in_.side), settings);
    });
    return grids;
  }

  /// Codes that change on the way from the widest to the narrowest grid; each adds a row of H to y.
  double search_operations(Index size) const {
    const auto settings = quant::grid_settings(in_.grouped(size));
    const Index width = size > 0 ? size : in_.in;
    const float top = static_cast<float>((1 << settings.bits) - 1);
    double operations = 0;
    for (Index r = 0; r < in_.rows; ++r)
      for (Index first = 0; first < in_.in; first += width) {
        const float* w = in_.W.row(r) + first;
        const auto range = quant::range_of<float>(w, width, settings);
        Index changes = 0;
        for (int z = 0; z < range.n_zeros; ++z)
          for (Index c = 0; c < width; ++c) {
            float before = kernels::code_of(w[c], range.scale(0, top), range.zeros[z], top);
            for (Index i = 1; i < quant::shrinks; ++i) {
              const float code = kernels::code_of(w[c], range.scale(i, top), range.zeros[z], top);
              changes += code != before;
              before = code;
            }
          }
        operations += 2 * real(width) * (real(changes) + real(width) * (1 + range.n_zeros));
      }
    return operations;
  }

  void search(const char* name, Index size) {
    phases.push_back({name, Kind::grid, search_operations(size), layer_product(), [this, size] {
                        for_each_tile(in_.W, tile_rows, [&](View<const float> W, Index) {
                          quant::fit_grid<float>(W, quant::metric_of(in_.side),
                                                 quant::grid_settings(in_.grouped(size)));
                        });
                      }});
  }

  void refine(const char* name, Index size, bool two_sided) {
    const Index height = two_sided ? in_.settings.head_dim : tile_rows;
    const auto grids = std::make_shared<std::vector<quant::Grid<float>>>(grids_of(size, height));
    const auto codes = std::make_shared<std::vector<Matrix<std::uint8_t>>>(grids->size());
    for_each_tile(in_.W, height, [&](View<const float> W, Index t) {
      (*codes)[static_cast<std::size_t>(t)] =
          quant::round_to_grid<float>(W, (*grids)[static_cast<std::size_t>(t)]);
    });
    const double operations = 6 * rows_ * n_ * n_ + (two_sided ? 8 * real(height) * n_ * rows_ : 0);
    phases.push_back(
        {name, Kind::refine, operations, layer_product(), [this, height, two_sided, grids, codes] {
           for_each_tile(in_.W, height, [&](View<const float> W, Index t) {
             const auto at = static_cast<std::size_t>(t);
             const bool weighted = two_sided && whole_head(W);
             const quant::Objective<float> objective(
                 W, in_.side.H.view(), in_.side.D.view(),
                 weighted ? in_.output.H.view() : View<const float>{});
             auto grid = (*grids)[at];
             quant::refine_scales<float>(objective, (*codes)[at].view(), 1, {}, grid);
           });
         }});
  }

  /// What the stages start from: one fit a tile, with the objective it belongs to.
  struct Start {
    std::unique_ptr<quant::Objective<float>> objective;
    std::unique_ptr<quant::Fit<float>> fit;
  };

  void descend(const std::string& what, Index size, bool two_sided) {
    const Index height = two_sided ? in_.settings.head_dim : tile_rows;
    const auto starts = std::make_shared<std::vector<Start>>(pieces(in_.rows, height));
    const auto grids = grids_of(size, height);
    for_each_tile(in_.W, height, [&](View<const float> W, Index t) {
      const auto at = static_cast<std::size_t>(t);
      const bool weighted = two_sided && whole_head(W);
      Start& start = (*starts)[at];
      start.objective = std::make_unique<quant::Objective<float>>(
          W, in_.side.H.view(), in_.side.D.view(),
          weighted ? in_.output.H.view() : View<const float>{});
      start.fit = std::make_unique<quant::Fit<float>>(*start.objective, std::vector<std::int32_t>{},
                                                      quant::sweep<float>(W, in_.side, grids[at]),
                                                      grids[at]);
    });
    const auto add = [&](const std::string& name, double operations, auto step) {
      phases.push_back(
          {name + what, Kind::descent, operations, layer_product(), [this, height, starts, step] {
             for_each_tile(in_.W, height, [&](View<const float>, Index t) {
               auto fit = *(*starts)[static_cast<std::size_t>(t)].fit;
               step(fit);
             });
           }});
    };
    add("4 passes over scales, ", size > 0 ? rows_ * n_ * n_ : 0,
        [](quant::Fit<float>& fit) { quant::refine_scales(fit, {.passes = 4}); });
    add("polish, ", 2 * rows_ * n_ * n_, [](quant::Fit<float>& fit) { quant::polish(fit); });
  }

  const Inputs& in_;
  double n_, rows_;
};

}  // namespace

std::vector<Phase> phases_of(const Inputs& inputs, bool full_search) {
  // The list outlives this call in the phases' functions.
  const auto list = std::make_shared<PhaseList>(inputs);
  list->statistics();
  list->factors();
  list->sweeps();
  list->searches(full_search);
  list->refinements();
  list->descents();
  list->layers();
  auto phases = std::move(list->phases);
  for (Phase& phase : phases) phase.run = [list, run = std::move(phase.run)] { run(); };
  return phases;
}

}  // namespace constrictor::bench
