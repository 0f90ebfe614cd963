// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.hpp"

#include "tests/gpu/on_device.hpp"

namespace constrictor::kernels {
namespace {

using test::DeviceFrame;

struct RopeShape {
  Index sequences, length, heads, head_dim, margin;
};
class DeviceRope : public test::OnDevice, public testing::WithParamInterface<RopeShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceRope,
                         testing::Values(RopeShape{0, 3, 2, 4, 0}, RopeShape{1, 1, 1, 2, 0},
                                         RopeShape{2, 7, 3, 6, 1}, RopeShape{3, 5, 2, 16, 0},
                                         RopeShape{1, 3, 17, 128, 0}, RopeShape{1, 301, 1, 8, 0}));

TEST_P(DeviceRope, TableAndRotation) {
  const auto [sequences, length, heads, head_dim, margin] = GetParam();
  const auto frequencies = inverse_frequencies(head_dim, 10000.0);
  const RopeTable table = rope_table(frequencies, length);
  const auto device_frequencies = to_device(frequencies);
  DeviceFrame<float> cos(gpu, length, head_dim / 2, margin), sin(gpu, length, head_dim / 2, margin);
  rope_table(gpu.main(), device_frequencies.view(), cos.view(), sin.view());
  // float64 on both sides, rounded to float32: a unit in the last place at most
  test::expect_near(cos.values(), table.cos, test::float_epsilon);
  test::expect_near(sin.values(), table.sin, test::float_epsilon);

  const Matrix<float> X = test::random_matrix(sequences * length, heads * head_dim, 1);
  Matrix<float> expected = X;
  rope(expected.view(), table);
  const DeviceRopeTable device_table{cos.view(), sin.view()};
  DeviceFrame<float> before(gpu, X, margin), after(gpu, X.rows(), X.cols(), margin);
  DeviceFrame<bfloat16> rounded(gpu, X.rows(), X.cols(), margin);
  rope<float>(gpu.main(), before.view(), device_table, after.view());
  rope<bfloat16>(gpu.main(), before.view(), device_table, rounded.view());
  const double tolerance = 3 * test::float_epsilon;  // of terms of size 1 that may cancel
  test::expect_near(after.values(), expected, 0, tolerance);
  test::expect_near(rounded.values(), expected, test::rounding_of<bfloat16>, tolerance);
  rope<float>(gpu.main(), before.view(), device_table, before.view());
  test::expect_near(before.values(), after.values(), 0);
}

}  // namespace
}  // namespace constrictor::kernels
