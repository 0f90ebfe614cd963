// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/fit.hpp"

namespace constrictor::quant {

/// Integer descent: scales fixed, every code once, columns in their original order, the rows of a
/// head in `fit.row_order`:
///
///   c <- quantize(q + R[i,c] / (H_out[i,i] H_in[c,c])),   R refreshed after each change
///
/// Each step is the exact minimum of L in one code, so L never rises; where rounding makes it rise
/// all the same the codes from before are restored. Few codes change, so R follows by one row of
/// H_in for each that does.
template <class T>
void polish(Fit<T>& fit);

}  // namespace constrictor::quant
