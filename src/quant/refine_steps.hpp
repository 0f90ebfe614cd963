// SPDX-License-Identifier: Apache-2.0
#pragma once
// The two halves of the scale refinement, for quant/refine.cpp only. Both move the scales of `fit`
// and return by how much each pass lowered L.

#include "quant/refine.hpp"

namespace constrictor::quant {

/// Rows that do not see each other (H_out = 1). With A_i[g,h] = Z[i,g] H_in[g,h] Z[i,h]' a step is
///   s[g] += slope[g] / A[g,g];  slope[:] -= step A[g,:]
/// so R is not touched: all passes cost as much as half a product Z H_in. `row_gain` [rows]: what
/// the rows gained.
template <class T>
std::vector<double> refine_rows(Fit<T>& fit, const RefineSettings& settings,
                                std::vector<double>& row_gain);

/// The rows of a head. Row by row dQ_i H_in is spread to the slopes of all others by H_out.
template <class T>
std::vector<double> refine_head(Fit<T>& fit, const RefineSettings& settings);

/// slope(i, g) = R[i,g] . Z[i,g]
template <class T>
Matrix<T> slopes_of(const Fit<T>& fit);

template <class T>
inline T dot(const T* a, const T* b, Index n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace constrictor::quant
