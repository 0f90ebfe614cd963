// SPDX-License-Identifier: Apache-2.0
#include "kernels/route_tokens.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace constrictor::kernels {
namespace {

TEST(RouteTokens, TakesTheLargestAndSharesThemOut) {
  Matrix<float> S(2, 4);
  const float scores[2][4] = {{0.f, std::log(3.f), std::log(2.f), std::log(4.f)}, {1, 1, 1, 1}};
  for (Index t = 0; t < 2; ++t)
    for (Index e = 0; e < 4; ++e) S(t, e) = scores[t][e];
  Matrix<std::int32_t> experts(2, 2);
  Matrix<float> share(2, 2);
  route_tokens(S.view(), false, experts.view(), share.view());
  EXPECT_EQ(experts(0, 0), 3);
  EXPECT_EQ(experts(0, 1), 1);
  EXPECT_NEAR(share(0, 0), 0.4, 1e-6);
  EXPECT_NEAR(share(0, 1), 0.3, 1e-6);
  EXPECT_EQ(experts(1, 0), 0);  // a tie goes to the lower number
  EXPECT_EQ(experts(1, 1), 1);
  route_tokens(S.view(), true, experts.view(), share.view());
  EXPECT_NEAR(share(0, 0), 4. / 7, 1e-6);
  EXPECT_NEAR(share(0, 1), 3. / 7, 1e-6);
  EXPECT_NEAR(share(1, 0), 0.5, 1e-6);
}

}  // namespace
}  // namespace constrictor::kernels
