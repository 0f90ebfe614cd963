// SPDX-License-Identifier: Apache-2.0
// quant::solve against the host's solvers: made-up layers with every option, and the golden layers.
#include <cstdio>
#include <functional>
#include <numeric>

#include "quant/row_blocks_gpu.hpp"
#include "quant/solvers_gpu.hpp"
#include "tests/gpu/device_side.hpp"
#include "tests/unit/quant/golden.hpp"

namespace constrictor::quant {
namespace {

struct SolversOnDevice : test::OnDevice {
  /// Sums of what the device and the host make of the same rows.
  struct Outcome {
    test::Agreement codes;
    double loss = 0, host_loss = 0, before = 0, host_before = 0;

    void expect_alike(double least_share, const std::string& what) const {
      EXPECT_GE(codes.share(), least_share) << what << ": " << codes.different() << " codes differ";
      EXPECT_NEAR(before / host_before, 1, 5e-3) << what;
      EXPECT_NEAR(loss / host_loss, 1, 5e-3) << what;
    }
  };

  /// One problem on the device; on the host head by head.
  void compare(const Matrix<float>& W, const InputSide<float>& input,
               const std::vector<OutputSide<float>>& outputs, const QuantSpec& spec,
               Outcome& outcome) {
    const auto side = test::on_device(gpu, input);
    DeviceProblem problem{W.view(), &side, {}, &spec};
    for (const auto& output : outputs) problem.heads.push_back(&output);
    const auto found = solve(gpu, problem);
    ASSERT_EQ(found.row_loss.size(), std::size_t(W.rows()));
    EXPECT_NEAR(std::accumulate(found.row_loss.begin(), found.row_loss.end(), 0.), found.loss_after,
                1e-9 * std::abs(found.loss_after));
    outcome.loss += found.loss_after;
    outcome.before += found.loss_before;

    const Index parts = std::max<Index>(1, Index(outputs.size())), rows = W.rows() / parts;
    double scale = 0, rounding = 0, same_rows_energy = 0, energy = 0;
    for (Index h = 0; h < parts; ++h) {
      const auto expected = solver<float>(spec.method)
                                .solve(page(W, parts, h), input,
                                       outputs.empty() ? nullptr : &outputs[std::size_t(h)], spec);
      outcome.codes.compare(Matrix<std::uint8_t>(page(found.codes, parts, h)), expected.codes);
      outcome.host_loss += expected.loss_after;
      outcome.host_before += expected.loss_before;
      scale += expected.loss_scale;
      rounding += expected.loss_rounding;
      for (const double e : expected.column_energy) same_rows_energy += e;
      Index equal_scales = 0;
      for (Index r = 0; r < rows; ++r)
        equal_scales +=
            std::abs(found.grid.scale(h * rows + r, 0) / expected.grid.scale(r, 0) - 1) < 1e-2;
      if (outputs.empty()) {
        EXPECT_GE(double(equal_scales), 0.9 * double(rows));
      }
    }
    for (const double e : found.column_energy) energy += e;
    EXPECT_NEAR(found.loss_scale / scale, 1, 1e-4);
    EXPECT_NEAR(found.loss_rounding / rounding, 1, 2e-2);
    EXPECT_NEAR(energy / same_rows_energy, 1, 2e-2);
    ASSERT_EQ(found.column_energy.size(), std::size_t(W.cols()));
    for (const Index dead : input.dead)
      for (Index r = 0; r < W.rows(); ++r)
        EXPECT_EQ(float(found.codes(r, dead)), found.grid.zero(r, 0));
  }

  std::vector<OutputSide<float>> random_heads(Index count, Index d, Order order) {
    std::vector<OutputSide<float>> heads;
    for (Index h = 0; h < count; ++h)
      heads.push_back(hessian::factor_output<float>(
          random_hessian<float>(d, unsigned(20 + h)).view(), 0.01, order, "test"));
    return heads;
  }
};

QuantSpec spec_for(Method method, const std::function<void(QuantSpec&)>& change = {}) {
  QuantSpec spec;
  spec.method = method;
  if (change) change(spec);
  return spec;
}

TEST_F(SolversOnDevice, EveryOptionOfOneSidedLayers) {
  const std::pair<const char*, QuantSpec> specs[] = {
      {"rtn", spec_for(Method::rtn)},
      {"rtn, mse, 4 bits, no refinement",
       spec_for(Method::rtn,
                [](auto& s) { s.bits = 4, s.grid = GridSearch::mse, s.refine_passes = 0; })},
      {"gptq", spec_for(Method::gptq)},
      {"gptq, groups",
       spec_for(Method::gptq, [](auto& s) { s.group_size = 32, s.refine_passes = 2; })},
      {"gptq, minmax, symmetric, no drift", spec_for(Method::gptq,
                                                     [](auto& s) {
                                                       s.bits = 3, s.grid = GridSearch::minmax,
                                                       s.symmetric = true, s.drift = Drift::none;
                                                     })},
      {"gptq, columns, exact drift",
       spec_for(Method::gptq,
                [](auto& s) { s.column_order = Order::descending, s.drift = Drift::exact; })},
      {"gptq, columns, groups, mse", spec_for(Method::gptq,
                                              [](auto& s) {
                                                s.bits = 4, s.column_order = Order::descending,
                                                s.group_size = 16, s.grid = GridSearch::mse;
                                              })},
      {"gptq, pivoted, beam", spec_for(Method::gptq,
                                       [](auto& s) {
                                         s.column_order = Order::pivoted, s.beam = 4;
                                         s.drift = Drift::exact;
                                       })},
      {"turboboa without heads", spec_for(Method::turboboa)},
      {"two stages",
       spec_for(Method::two_stage,
                [](auto& s) { s.group_size = 16, s.refine_passes = 8, s.refine_gain = 0.01; })},
      {"gptq, polish", spec_for(Method::gptq, [](auto& s) {
         s.bits = 3, s.group_size = 32, s.drift = Drift::exact, s.polish = 2;
       })}};
  for (const auto& [name, spec] : specs)
    for (const auto& [rows, in] : {std::pair<Index, Index>{1, 32}, {13, 160}, {8, 288}}) {
      Outcome outcome;
      const auto W = random_matrix<float>(rows, in, 3);
      const auto input = test::random_side(in, 4,
                                           {.drift = spec.drift,
                                            .alpha = 0.5,
                                            .column_order = spec.column_order,
                                            .shift_wanted = true});
      compare(W, input, {}, spec, outcome);
      outcome.expect_alike(0.98, name);
    }
}

TEST_F(SolversOnDevice, EveryOptionOfHeads) {
  const std::pair<const char*, QuantSpec> specs[] = {
      {"boa", spec_for(Method::boa, [](auto& s) { s.rows_at_once = 1, s.drift = Drift::none; })},
      {"turboboa", spec_for(Method::turboboa)},
      {"fixed grids", spec_for(Method::turboboa, [](auto& s) { s.adaptive_grid = false; })},
      {"orders, prime blocks", spec_for(Method::turboboa,
                                        [](auto& s) {
                                          s.bits = 3, s.rows_at_once = 7,
                                          s.row_order = s.column_order = Order::descending;
                                        })},
      {"exact drift, minmax", spec_for(Method::turboboa,
                                       [](auto& s) {
                                         s.bits = 3, s.drift = Drift::exact,
                                         s.grid = GridSearch::minmax, s.refine_passes = 3;
                                       })},
      {"exact drift, beam", spec_for(Method::turboboa,
                                     [](auto& s) {
                                       s.drift = Drift::exact, s.beam = 8;
                                       s.row_order = s.column_order = Order::pivoted;
                                     })},
      {"groups, symmetric", spec_for(Method::turboboa,
                                     [](auto& s) {
                                       s.bits = 4, s.group_size = 16, s.symmetric = true,
                                       s.refine_passes = 2;
                                     })},
      {"groups, rows", spec_for(Method::turboboa,
                                [](auto& s) {
                                  s.group_size = 48, s.row_order = Order::descending,
                                  s.rows_at_once = 64;
                                })},
      {"two-sided stages, until a pass gains little",
       spec_for(Method::two_stage,
                [](auto& s) { s.group_size = 24, s.refine_passes = 8, s.refine_gain = 0.05; })},
      {"polish, rows", spec_for(Method::turboboa, [](auto& s) {
         s.row_order = Order::descending, s.drift = Drift::exact, s.polish = 2;
       })}};
  for (const auto& [name, spec] : specs)
    for (const auto& [heads, d] : {std::pair<Index, Index>{1, 1}, {3, 13}, {2, 20}}) {
      Outcome outcome;
      const Index in = 96;
      const auto W = random_matrix<float>(heads * d, in, 5);
      const auto input = test::random_side(in, 6,
                                           {.drift = spec.drift,
                                            .alpha = 0.5,
                                            .column_order = spec.column_order,
                                            .shift_wanted = true});
      compare(W, input, random_heads(heads, d, spec.row_order), spec, outcome);
      outcome.expect_alike(0.97, name);
    }
}

TEST_F(SolversOnDevice, DeadInputsGetTheZeroPoint) {
  auto H = random_hessian<float>(48, 7);
  for (Index i = 0; i < 48; ++i) H(5, i) = H(i, 5) = H(47, i) = H(i, 47) = 0;
  const auto input = hessian::factor_input<float>(H.view(), {}, {.length = 64}, "test");
  ASSERT_EQ(input.dead.size(), 2u);
  for (const Method method : {Method::rtn, Method::gptq, Method::turboboa}) {
    Outcome outcome;
    auto spec = spec_for(method, [](auto& s) { s.bits = 3, s.drift = Drift::none; });
    compare(random_matrix<float>(32, 48, 8), input, random_heads(2, 16, Order::original), spec,
            outcome);
    outcome.expect_alike(0.97, "dead inputs");
  }
}

TEST_F(SolversOnDevice, PlainRoundingNeedsNoFactor) {
  auto input = test::random_side(64, 9, {});
  input.U = {}, input.R = {};
  const auto side = test::on_device(gpu, input);
  const auto W = random_matrix<float>(10, 64, 10);
  const auto spec = spec_for(Method::turboboa);
  const auto found = solve_rtn(gpu, {W.view(), &side, {}, &spec});
  const auto expected = solve_rtn<float>(W.view(), input, nullptr, spec);
  test::Agreement codes;
  codes.compare(found.codes, expected.codes);
  EXPECT_GE(codes.share(), 0.99);
  EXPECT_NEAR(found.loss_after / expected.loss_after, 1, 1e-3);
  EXPECT_THROW((void)solve(gpu, {W.view().cols_from(0, 63), &side, {}, &spec}), Bug);
}

TEST_F(SolversOnDevice, TheSameProblemHasTheSameBits) {
  const auto W = random_matrix<float>(40, 96, 11);
  const auto side = test::on_device(gpu, test::random_side(96, 12, {.shift_wanted = true}));
  const auto outputs = random_heads(2, 20, Order::descending);
  const auto spec = spec_for(Method::turboboa);
  const DeviceProblem problem{W.view(), &side, {&outputs[0], &outputs[1]}, &spec};
  const auto first = solve(gpu, problem), second = solve(gpu, problem);
  test::Agreement bits;
  bits.compare(first.codes, second.codes);
  bits.compare(first.grid.scale, second.grid.scale);
  bits.compare(first.loss_after == second.loss_after);
  EXPECT_EQ(bits.different(), 0);
}

/// V' (W - Q) of a block must be what two triangular solves make of it.
TEST(SpreadingFactors, DivideTheDiagonalBlocksOut) {
  const auto output = hessian::factor_output<float>(random_hessian<float>(11, 13).view(), 0.01,
                                                    Order::original, "test");
  const auto V = spreading_factors({&output, &output}, 4);
  ASSERT_EQ(V.rows(), 22);
  for (Index h = 0; h < 2; ++h)
    for (Index r = 0; r < 11; ++r)
      for (Index c = 0; c < 11; ++c) {
        const Index last = std::min<Index>(11, r / 4 * 4 + 4);
        double product = 0;  // U[B,B] V[B,R]
        for (Index k = r; k < last; ++k)
          product += double(output.U(r, k)) * double(V(h * 11 + k, c));
        EXPECT_NEAR(product, c < last ? 0 : double(output.U(r, c)), 1e-6);
      }
}

TEST_F(SolversOnDevice, GoldenLayersAgreeWithTheHost) {
  const auto file = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  const auto block = file.group("block_0");
  std::size_t number = 0;
  for (const auto& set : block.group("self_attn.q_proj").group("result").names()) {
    test::Agreement of_set;
    // Heads with every set, the other kinds of layer in turn: emulated threads are slow.
    const char* others[] = {"self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj"};
    for (const char* name : {"self_attn.k_proj", others[number++ % 3]}) {
      GoldenLayer<float> layer(block, name, set);
      if (layer.heads == 1)
        layer.W = Matrix<float>(layer.W.view().rows_from(0, 24));  // rows are independent
      Outcome outcome;
      const Index problems = layer.sides > 1 ? layer.heads : 1;
      for (Index p = 0; p < problems; ++p) {
        std::vector<OutputSide<float>> outputs;
        for (Index h = 0; h < layer.heads && layer.two_sided; ++h)
          if (problems == 1 || h == p) outputs.push_back(layer.output(h));
        compare(Matrix<float>(page(layer.W, problems, p)), layer.input(p), outputs, layer.spec,
                outcome);
      }
      outcome.expect_alike(0.98, set + " " + name);
      of_set.add(outcome.codes);
    }
    std::printf("%-24s codes equal to the host's %.3f %%\n", set.c_str(), 100 * of_set.share());
    EXPECT_GE(of_set.share(), 0.995) << set << ": " << of_set.different() << " codes differ";
  }
}

}  // namespace
}  // namespace constrictor::quant
