// SPDX-License-Identifier: Apache-2.0
// Logits that come piece by piece of the vocabulary, against whole rows on the CPU.
#include "kernels/cross_entropy.hpp"

#include <limits>

#include "tests/gpu/on_device.hpp"

namespace constrictor::kernels {
namespace {

struct LogitShape {
  Index rows, vocabulary, piece;
};
/// A row's nll and log sum: float32 exponentials of differences that two programs round apart.
constexpr double row_tolerance = 4e-7;

class DeviceCrossEntropy : public test::OnDevice, public testing::WithParamInterface<LogitShape> {
 protected:
  Index rows = GetParam().rows, vocabulary = GetParam().vocabulary, piece = GetParam().piece;
  Matrix<float> P = test::random_matrix(rows, vocabulary, 1, 8),
                Q = test::random_matrix(rows, vocabulary, 2, 8);
  std::vector<std::int32_t> targets;

  void SetUp() override {
    for (Index r = 0; r < rows; ++r)
      targets.push_back(static_cast<std::int32_t>((r * 31 + vocabulary - 1) % vocabulary));
  }
  Matrix<std::int32_t> target_row() const {
    return Matrix<std::int32_t>({targets.data(), 1, rows, rows});
  }

  template <class Sums>
  Matrix<Sums> summed() {
    const auto device_p = to_device(P), device_q = to_device(Q);
    const auto device_targets = to_device(target_row());
    device::DeviceMatrix<Sums> sums(gpu, 1, rows, "sums");
    for (Index first = 0; first < vocabulary; first += piece) {
      const Index columns = std::min(piece, vocabulary - first);
      const auto p = device_p.view().cols_from(first, columns);
      const auto q = device_q.view().cols_from(first, columns);
      if constexpr (std::is_same_v<Sums, SoftmaxSums>)
        add_cross_entropy(gpu.main(), q, first, device_targets.view(), sums.view());
      else
        add_divergence(gpu.main(), p, q, first, device_targets.view(), sums.view());
    }
    return to_host(sums);
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceCrossEntropy,
                         testing::Values(LogitShape{0, 3, 2}, LogitShape{1, 1, 1},
                                         LogitShape{5, 37, 37}, LogitShape{5, 37, 8},
                                         LogitShape{3, 64, 1}, LogitShape{2, 4099, 1024},
                                         LogitShape{3, 2048, 512}));

TEST_P(DeviceCrossEntropy, EqualsWholeRowsOnCpu) {
  std::vector<double> nll(static_cast<std::size_t>(rows));
  cross_entropy(Q.view(), targets, nll);
  const auto found = summed<SoftmaxSums>();
  for (Index r = 0; r < rows; ++r) {
    const auto i = static_cast<std::size_t>(r);
    EXPECT_EQ(found(0, r).target, Q(r, targets[i]));
    EXPECT_NEAR(log_sum(found(0, r)) - found(0, r).target, nll[i], row_tolerance);
  }
}

TEST_P(DeviceCrossEntropy, DivergenceEqualsWholeRowsOnCpu) {
  // rows that agree, and rows whose largest logit stands twice
  for (Index r = 0; r < rows; r += 2) {
    P(r, vocabulary / 2) = Q(r, vocabulary / 2) = 9;
    P(r, vocabulary - 1) = 9;
  }
  const auto n = static_cast<std::size_t>(rows);
  std::vector<double> kl_of_row(n), p_log_sum(n), q_log_sum(n);
  std::vector<std::uint8_t> agree(n);
  divergence(P.view(), Q.view(), {kl_of_row, agree, p_log_sum, q_log_sum});
  const auto found = summed<DivergenceSums>();
  for (Index r = 0; r < rows; ++r) {
    const auto i = static_cast<std::size_t>(r);
    const DivergenceSums& sums = found(0, r);
    EXPECT_NEAR(kl(sums), kl_of_row[i], 16 * row_tolerance);  // weighted by P - Q, up to 16
    EXPECT_NEAR(log_sum(sums.p), p_log_sum[i], row_tolerance);
    EXPECT_NEAR(log_sum(sums.q), q_log_sum[i], row_tolerance);
    EXPECT_EQ(sums.p.top == sums.q.top, agree[i] == 1) << "row " << r;
    EXPECT_EQ(sums.p.target, P(r, targets[i]));
    EXPECT_EQ(sums.q.target, Q(r, targets[i]));
  }
}

TEST_P(DeviceCrossEntropy, PiecesInWhichTheLogitsRiseAndFall) {
  for (Index r = 0; r < rows; ++r)
    for (Index v = 0; v < vocabulary; ++v)
      Q(r, v) += 100 * static_cast<float>(r % 2 == 0 ? v : vocabulary - v) /
                 static_cast<float>(vocabulary);
  std::vector<double> nll(static_cast<std::size_t>(rows));
  cross_entropy(Q.view(), targets, nll);
  const auto found = summed<SoftmaxSums>();
  for (Index r = 0; r < rows; ++r) {
    const double expected = nll[static_cast<std::size_t>(r)];
    EXPECT_NEAR(log_sum(found(0, r)) - found(0, r).target, expected,
                row_tolerance * (1 + expected));
  }
}

TEST_P(DeviceCrossEntropy, NanStaysInItsRow) {
  if (rows < 2) return;
  Q(1, vocabulary / 3) = std::numeric_limits<float>::quiet_NaN();
  const auto found = summed<DivergenceSums>();
  EXPECT_TRUE(std::isnan(kl(found(0, 1))));
  EXPECT_TRUE(std::isnan(log_sum(found(0, 1).q)));
  EXPECT_TRUE(std::isfinite(kl(found(0, 0))));
  EXPECT_TRUE(std::isfinite(log_sum(found(0, 1).p)));
}

}  // namespace
}  // namespace constrictor::kernels
