// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/fit.hpp"

namespace constrictor::quant {

/// Zero-point refinement of asymmetric grids. For every group, and the rows in `fit.row_order`, the
/// zeros z - 1 and z + 1 are tried: Z = C - z stays but where it leaves the new range (it is
/// clamped) or may now reach one step further and would be rounded there (it does), and the scale
/// is the best one for the new Z. A zero is taken when that lowers L, by the exact change
///
///   dL = -2 R[i,g] . dQ + H_out[i,i] dQ H_in[g,g] dQ'.
template <class T>
void refine_zeros(Fit<T>& fit);

}  // namespace constrictor::quant
