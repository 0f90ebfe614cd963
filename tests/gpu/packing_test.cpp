// SPDX-License-Identifier: Apache-2.0
// Sums on their way between sets, to the host and in one piece; and the triangles they are made of.
#include "hessian/accumulate_gpu.hpp"
#include "kernels/triangle.hpp"
#include "tests/gpu/traces.hpp"

namespace constrictor::hessian {
namespace {

constexpr SumShape shape{.hidden = 11,
                         .attention_width = 8,
                         .feed_forward = 37,
                         .heads = 4,
                         .kv_heads = 2,
                         .head_dim = 2,
                         .drift = true,
                         .value_attention = true,
                         .row_metric = true};

/// Whole numbers, so that sums of sums are exact; below the diagonal of Gram sums NaN, which must
/// never travel.
BlockSums numbered_sums(int first) {
  BlockSums sums(shape);
  sums.for_each_matrix([&](Matrix<float>& m) {
    for (float& v : m.values()) v = static_cast<float>(first++);
  });
  const auto spoil = [](Matrix<float>& m) {
    for (Index r = 0; r < m.rows(); ++r)
      for (Index c = 0; c < r; ++c) m(r, c) = std::numeric_limits<float>::quiet_NaN();
  };
  for (auto* place : {&sums.attention_input, &sums.output_input, &sums.mlp_input, &sums.down_input})
    spoil(place->gram);
  for (auto& place : sums.value) spoil(place.gram);
  for (auto& m : sums.query_gram) spoil(m);
  for (auto& m : sums.key_gram) spoil(m);
  sums.tokens[0] = first;
  return sums;
}

struct PackingOnDevice : test::DeviceMatrices {
  DeviceSums on_device(BlockSums sums) {
    DeviceSums to(gpu, shape);
    upload(gpu, sums, to);
    return to;
  }
};

TEST_F(PackingOnDevice, UpperTrianglesLieRowAfterRow) {
  for (const Index n : {0, 1, 2, 33, 67}) {
    const auto S = test::normal_matrix<float>(n, n, 1);
    const auto device_S = test::DeviceMatrices::on_device(S);
    device::DeviceMatrix<float> packed(gpu, 1, kernels::upper_size(n), "packed");
    kernels::pack_upper(gpu.main(), device_S.view(), packed.view());
    const auto found = on_host(packed);
    Index next = 0;
    for (Index r = 0; r < n; ++r)
      for (Index c = r; c < n; ++c) ASSERT_EQ(found(0, next++), S(r, c));
    ASSERT_EQ(next, found.size());
    auto back = test::DeviceMatrices::on_device(Matrix<float>(n, n));
    kernels::unpack_upper(gpu.main(), read_only(packed.view()), back.view());
    EXPECT_EQ(test::upper_error(on_host(back), S), 0);
    kernels::mirror_upper(gpu.main(), back.view());
    const auto mirrored = on_host(back);
    for (Index r = 0; r < n; ++r)
      for (Index c = 0; c < n; ++c) ASSERT_EQ(mirrored(r, c), S(std::min(r, c), std::max(r, c)));
  }
}

TEST_F(PackingOnDevice, PagesAreMirroredAndRoundedOneByOne) {
  const Index n = 45, pages = 3;
  const auto S = test::normal_matrix<float>(pages * n, n, 1);
  const auto device_S = test::DeviceMatrices::on_device(S);
  device::DeviceMatrix<bfloat16> F(gpu, pages * n, n, "F");
  kernels::mirrored<bfloat16>(gpu.main(), device_S.view(), F.view());
  const auto found = on_host(F);
  for (Index p = 0; p < pages; ++p)
    for (Index r = 0; r < n; ++r)
      for (Index c = 0; c < n; ++c)
        ASSERT_EQ(found(p * n + r, c).bits,
                  bfloat16(S(p * n + std::min(r, c), std::max(r, c))).bits);
}

TEST_F(PackingOnDevice, SumsSurviveTheWayThereAndBack) {
  auto sums = numbered_sums(3);
  auto there = on_device(numbered_sums(3));
  EXPECT_EQ(there.tokens, sums.tokens[0]);
  EXPECT_EQ(test::error_of(test::host_sums(gpu, there), sums), 0);
  BlockSums back(shape);
  download(gpu, there, back);
  EXPECT_EQ(back.tokens[0], sums.tokens[0]);
  EXPECT_EQ(test::error_of(test::host_sums(gpu, there), back), 0);
}

TEST_F(PackingOnDevice, PackedSumsHoldNumbersOnlyAndUnpackToTheSame) {
  auto sums = numbered_sums(3);
  auto device_sums = on_device(numbered_sums(3));
  const auto one_piece = packed(gpu, shape, device_sums);
  EXPECT_EQ(one_piece.cols(), packed_size(shape));
  for (const float v : on_host(one_piece).values()) ASSERT_TRUE(std::isfinite(v));
  DeviceSums other(gpu, shape);
  set_zero(gpu, other);
  EXPECT_EQ(other.tokens, 0);
  unpack(gpu, one_piece.view(), other);
  EXPECT_EQ(test::error_of(test::host_sums(gpu, other), sums), 0);
}

TEST_F(PackingOnDevice, SizesOfSumsWithFewerParts) {
  for (const bool drift : {false, true})
    for (const bool value : {false, true})
      for (const bool rows : {false, true}) {
        SumShape fewer = shape;
        fewer.drift = drift, fewer.value_attention = value, fewer.row_metric = rows;
        DeviceSums sums(gpu, fewer);
        set_zero(gpu, sums);
        EXPECT_EQ(packed(gpu, fewer, sums).cols(), packed_size(fewer));
      }
}

TEST_F(PackingOnDevice, SumsOfSums) {
  auto left = on_device(numbered_sums(3)), right = on_device(numbered_sums(1000));
  BlockSums wanted = numbered_sums(3), term = numbered_sums(1000);
  std::vector<Matrix<float>*> terms;
  term.for_each_matrix([&](Matrix<float>& m) { terms.push_back(&m); });
  std::size_t i = 0;
  wanted.for_each_matrix([&](Matrix<float>& m) {
    for (Index e = 0; e < m.size(); ++e) m.data()[e] += terms[i]->data()[e];
    ++i;
  });
  add(gpu, left, right);
  EXPECT_EQ(test::error_of(test::host_sums(gpu, left), wanted), 0);
  EXPECT_EQ(left.tokens, wanted.tokens[0] + term.tokens[0]);
  DeviceSums nothing(gpu, shape);  // uninitialised: neither read nor added
  add(gpu, left, nothing);
  EXPECT_EQ(test::error_of(test::host_sums(gpu, left), wanted), 0);
  add(gpu, nothing, left);
  EXPECT_EQ(test::error_of(test::host_sums(gpu, nothing), wanted), 0);
}

}  // namespace
}  // namespace constrictor::hessian
