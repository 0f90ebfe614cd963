// SPDX-License-Identifier: Apache-2.0
// The causal softmax, and attention probabilities of whole sequences.
#include <limits>

#include "kernels/softmax_causal.hpp"
#include "linalg/attention_probabilities.hpp"
#include "linalg/attention_probabilities_gpu.hpp"
#include "tests/gpu/on_device.hpp"

namespace constrictor {
namespace {

using kernels::softmax_causal;
using test::DeviceFrame;

struct SoftmaxShape {
  Index sequences, queries, keys, first_position, margin;
};
class DeviceSoftmax : public test::OnDevice, public testing::WithParamInterface<SoftmaxShape> {
 protected:
  template <class E>
  void expect_equals_cpu(double spread) {
    const auto [sequences, queries, keys, first, margin] = GetParam();
    Matrix<float> S = test::random_matrix(sequences * queries, keys, 1, spread);
    DeviceFrame<float> device_s(gpu, S, margin);
    // Behind the keys come columns that no query sees.
    const Index width = keys + 4 * margin;
    DeviceFrame<E> found(gpu, sequences * queries, width, margin);
    softmax_causal<E>(gpu.main(), device_s.view(), first,
                      {found.view().rows_from(0, queries), queries});
    Matrix<float> expected(sequences * queries, width);
    for (Index s = 0; s < sequences; ++s) {
      const auto rows = S.view().rows_from(s * queries, queries);
      softmax_causal(rows, first);
      for (Index i = 0; i < queries; ++i)
        std::copy_n(rows.row(i), keys, expected.row(s * queries + i));
    }
    // |score| epsilon in each exponent, and sums of up to `keys` terms in another order
    const double tolerance =
        test::float_epsilon * (8 + 2 * spread + std::sqrt(static_cast<double>(keys)));
    test::expect_near(found.values(), expected, tolerance + test::rounding_of<E>, 1e-37);
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceSoftmax,
                         testing::Values(SoftmaxShape{0, 1, 1, 0, 0}, SoftmaxShape{1, 1, 1, 0, 0},
                                         SoftmaxShape{2, 5, 5, 0, 1}, SoftmaxShape{3, 8, 8, 0, 0},
                                         SoftmaxShape{2, 7, 23, 16, 1}, SoftmaxShape{1, 3, 4, 9, 0},
                                         SoftmaxShape{1, 5, 1100, 1094, 0},
                                         SoftmaxShape{2, 3, 1301, 1200, 1}));

TEST_P(DeviceSoftmax, EqualsCpu) {
  expect_equals_cpu<float>(20);
  expect_equals_cpu<bfloat16>(20);
}

struct DeviceSoftmaxRows : test::OnDevice {};
TEST_F(DeviceSoftmaxRows, ShowNanInTheirOwnRowOnly) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> S(3, 3);
  S(0, 2) = nan;  // above the diagonal: never read
  S(1, 0) = nan;
  DeviceFrame<float> device_s(gpu, S, 0), found(gpu, 3, 3, 0);
  softmax_causal<float>(gpu.main(), device_s.view(), 0, {found.view(), 0});
  softmax_causal(S.view());
  test::expect_near(found.values(), S, test::float_epsilon);
}

struct AttentionShape {
  Index sequences, length, head_dim, window = 0;
  float soft_cap = 0;
};
class DeviceAttentionProbabilities : public test::OnDevice,
                                     public testing::WithParamInterface<AttentionShape> {
 protected:
  template <class E>
  void expect_equals_cpu() {
    const auto [sequences, length, d, window, soft_cap] = GetParam();
    const Index tokens = sequences * length;
    const AttentionForm form{.scale = 0.7f, .window = window, .soft_cap = soft_cap};
    // two heads side by side, of which the second is looked at
    const auto Q = converted<E>(read_only(test::random_matrix(tokens, 2 * d, 1, 1.5).view()));
    const auto K = converted<E>(read_only(test::random_matrix(tokens, 2 * d, 2, 1.5).view()));
    const auto device_q = to_device(Q), device_k = to_device(K);
    const linalg::AttentionHead<E> head{.q = device_q.view().cols_from(d, d),
                                        .K = device_k.view().cols_from(d, d),
                                        .form = form,
                                        .length = length};
    DeviceFrame<E> found(gpu, tokens, length, 1);
    linalg::attention_probabilities<E>(gpu, head, found.view());

    const auto q = converted<float>(read_only(Q.view())), k = converted<float>(read_only(K.view()));
    Matrix<float> expected(tokens, length);
    for (Index s = 0; s < sequences; ++s)
      linalg::attention_probabilities(q.view().block(s * length, d, length, d),
                                      k.view().block(s * length, d, length, d), form,
                                      expected.view().rows_from(s * length, length));
    const double largest_score = 0.7 * 2.25 * static_cast<double>(d);
    const double tolerance =
        test::float_epsilon * (8 + 4 * largest_score + std::sqrt(static_cast<double>(length)));
    test::expect_near(found.values(), expected, tolerance + test::rounding_of<E>, 1e-37);
  }
};
// 515 positions: one tile of queries and a ragged one.
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceAttentionProbabilities,
                         testing::Values(AttentionShape{0, 4, 2}, AttentionShape{1, 1, 1},
                                         AttentionShape{3, 7, 5}, AttentionShape{2, 16, 8},
                                         AttentionShape{2, 515, 3},
                                         AttentionShape{3, 7, 5, 3, 1.5f},
                                         AttentionShape{1, 6, 4, 1},
                                         AttentionShape{2, 515, 3, 100, 2.f}));

TEST_P(DeviceAttentionProbabilities, EqualCpu) {
  expect_equals_cpu<float>();
  expect_equals_cpu<bfloat16>();
}

TEST(AttentionSequences, KeepScoresWithin64MiB) {
  EXPECT_EQ(linalg::attention_sequences(128), 1024);
  EXPECT_EQ(linalg::attention_sequences(2048), 16);
  EXPECT_EQ(linalg::attention_sequences(1 << 20), 1);
}

}  // namespace
}  // namespace constrictor
