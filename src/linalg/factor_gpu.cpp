// SPDX-License-Identifier: Apache-2.0
#include "linalg/factor_gpu.hpp"

#include <cusolverDn.h>

#include <algorithm>
#include <cmath>

#include "core/handle.hpp"
#include "kernels/triangle.hpp"
#include "linalg/cublas_gpu.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::linalg {
namespace {

using device::DeviceMatrix;

struct ParametersApi {
  using Raw = cusolverDnParams_t;
  static Raw empty() { return nullptr; }
  static void destroy(Raw raw) noexcept { cusolverDnDestroyParams(raw); }
};

/// Triangles up to this size are inverted by one triangular solve.
constexpr Index smallest_half = 512;

/// A <- L, lower Cholesky factor in place; what stands above the diagonal is left as it is. False
/// when the library met a pivot that is not positive. Row-major lower is column-major upper.
template <class T>
bool cholesky_lower(const device::Context& gpu, DeviceView<T> A) {
  cusolverDnParams_t raw = nullptr;
  CONSTRICTOR_CUSOLVER(cusolverDnCreateParams(&raw));
  const Handle<ParametersApi> parameters(raw);
  constexpr cudaDataType type = cuda_type<T>();
  std::size_t bytes = 0, host_bytes = 0;
  CONSTRICTOR_CUSOLVER(cusolverDnXpotrf_bufferSize(gpu.solver(), raw, CUBLAS_FILL_MODE_UPPER,
                                                   A.rows, type, A.data, leading(A), type, &bytes,
                                                   &host_bytes));
  DeviceMatrix<unsigned char> buffer(gpu, 1, static_cast<Index>(bytes), "Cholesky workspace");
  std::vector<unsigned char> host_buffer(host_bytes);
  DeviceMatrix<int> info(gpu, 1, 1, "Cholesky status");
  CONSTRICTOR_CUSOLVER(cusolverDnXpotrf(gpu.solver(), raw, CUBLAS_FILL_MODE_UPPER, A.rows, type,
                                        A.data, leading(A), type, buffer.data(), bytes,
                                        host_buffer.data(), host_bytes, info.data()));
  const int first_bad_pivot = device::downloaded<int>(gpu, info.view())(0, 0);
  CONSTRICTOR_REQUIRE(first_bad_pivot >= 0, first_bad_pivot);
  return first_bad_pivot == 0;
}

void solve(const device::Context& gpu, DeviceView<const float> R, DeviceView<float> X) {
  const float one = 1;
  CONSTRICTOR_CUBLAS(cublasStrsm_64(gpu.blas(gpu.main()), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER,
                                    CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT, X.cols, X.rows, &one, R.data,
                                    leading(R), X.data, leading(X)));
}
void solve(const device::Context& gpu, DeviceView<const double> R, DeviceView<double> X) {
  const double one = 1;
  CONSTRICTOR_CUBLAS(cublasDtrsm_64(gpu.blas(gpu.main()), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER,
                                    CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT, X.cols, X.rows, &one, R.data,
                                    leading(R), X.data, leading(X)));
}

/// U <- R^-1 for upper R, by halves: the blocks on the diagonal first, then
///   U_12 = -U_11 (R_12 U_22),
/// two large products instead of a long recursion. U must hold zeros below its diagonal blocks;
/// `scratch` is at least half as large in both directions.
template <class T>
void invert_upper(const device::Context& gpu, DeviceView<const T> R, DeviceView<T> U,
                  DeviceView<T> scratch) {
  const Index n = R.rows;
  if (n <= smallest_half) {  // R X = 1; column-major it is X' R' = 1 with R' lower
    kernels::set_identity(gpu.main(), U);
    solve(gpu, R, U);
    return kernels::keep_upper(gpu.main(), U);
  }
  // Whole multiples of the smallest piece keep the products' rows aligned.
  const Index h = (n / 2 + smallest_half - 1) / smallest_half * smallest_half, rest = n - h;
  invert_upper<T>(gpu, R.block(0, 0, h, h), U.block(0, 0, h, h), scratch);
  invert_upper<T>(gpu, R.block(h, h, rest, rest), U.block(h, h, rest, rest), scratch);
  const auto inner = scratch.block(0, 0, h, rest);
  gemm<T, T>(gpu, Transpose::no, Transpose::no, 1, R.block(0, h, h, rest),
             read_only(U.block(h, h, rest, rest)), 0, inner);
  gemm<T, T>(gpu, Transpose::no, Transpose::no, -1, read_only(U.block(0, 0, h, h)),
             read_only(inner), 0, U.block(0, h, h, rest));
}

template <class T>
std::vector<T> diagonal_of(const device::Context& gpu, DeviceView<const T> M) {
  DeviceMatrix<T> d(gpu, 1, M.rows, "a diagonal");
  kernels::diagonal(gpu.main(), M, d.view());
  const auto host = device::downloaded<T>(gpu, d.view());
  return {host.values().begin(), host.values().end()};
}

/// The library may let NaN pass; it ends on the diagonal whatever entry it came from.
template <class T>
bool positive_diagonal(const device::Context& gpu, DeviceView<const T> M) {
  const auto d = diagonal_of(gpu, M);
  return std::all_of(d.begin(), d.end(), [](T v) { return v > T(0) && std::isfinite(v); });
}

/// R with H = R R' and the memory of L, free for other use; false as upper_root.
template <class T>
bool root_and_scratch(const device::Context& gpu, DeviceView<const T> H, DeviceView<T> R,
                      DeviceMatrix<T>& L) {
  const Index n = H.rows;
  CONSTRICTOR_REQUIRE(H.cols == n && R.rows == n && R.cols == n, H.rows, H.cols, R.rows, R.cols);
  L = DeviceMatrix<T>(gpu, n, n, "a Cholesky factor");
  kernels::flip(gpu.main(), H, L.view());
  if (!cholesky_lower<T>(gpu, L.view())) return false;
  kernels::flip_to_upper<T>(gpu.main(), read_only(L.view()), R);
  return positive_diagonal(gpu, read_only(R));
}

/// Column panels [first, first + size) of an [n x n] product with a triangular factor.
template <class Function>
void for_each_panel(Index n, Function&& fn) {
  const Index width = triangle_panel(n);
  for (Index first = 0; first < n; first += width) fn(first, std::min(width, n - first));
}

}  // namespace

template <class T>
bool upper_root(const device::Context& gpu, DeviceView<const T> H, DeviceView<T> R) {
  DeviceMatrix<T> scratch;
  return H.rows == 0 || root_and_scratch(gpu, H, R, scratch);
}

template <class T>
bool inverse_factor(const device::Context& gpu, DeviceView<const T> H, DeviceView<T> U,
                    DeviceView<T> R) {
  const Index n = H.rows;
  CONSTRICTOR_REQUIRE(U.rows == n && U.cols == n, U.rows, U.cols, n);
  if (n == 0) return true;
  DeviceMatrix<T> own_root, scratch;
  if (R.rows == 0) {
    own_root = DeviceMatrix<T>(gpu, n, n, "the root of a Hessian");
    R = own_root.view();
  }
  if (!root_and_scratch(gpu, H, R, scratch)) return false;
  device::set_zero(U, gpu.main());
  invert_upper<T>(gpu, read_only(R), U, scratch.view());
  return positive_diagonal(gpu, read_only(U));
}

template <class T>
double condition_estimate(const device::Context& gpu, DeviceView<const T> U) {
  if (U.rows == 0) return 1;
  const auto d = diagonal_of(gpu, U);
  const auto [low, high] = std::minmax_element(d.begin(), d.end());
  const double ratio = static_cast<double>(*high) / static_cast<double>(*low);
  return ratio * ratio;
}

template <class T>
DeviceMatrix<T> drift_times_factor(const device::Context& gpu, DeviceView<const T> D,
                                   DeviceView<const T> U) {
  const Index n = U.rows;
  CONSTRICTOR_REQUIRE(D.rows == n && D.cols == n && U.cols == n, D.rows, D.cols, n);
  DeviceMatrix<T> DU(gpu, n, n, "drift times factor");
  for_each_panel(n, [&](Index first, Index size) {  // (D U')[r, c] = sum over k >= c
    const Index k = n - first;
    gemm<T, T>(gpu, Transpose::no, Transpose::yes, 1, D.block(0, first, n, k),
               U.block(first, first, size, k), 0, DU.view().cols_from(first, size));
  });
  return DU;
}

template <class T>
DeviceMatrix<T> drift_propagator(const device::Context& gpu, DeviceView<const T> DU,
                                 DeviceView<const T> U) {
  const Index n = U.rows;
  CONSTRICTOR_REQUIRE(DU.rows == n && DU.cols == n && U.cols == n, DU.rows, DU.cols, n);
  DeviceMatrix<T> A(gpu, n, n, "the upper part of the drift"), P(gpu, n, n, "drift propagator");
  kernels::strictly_upper(gpu.main(), DU, A.view());
  device::set_zero(P.view(), gpu.main());
  for_each_panel(n, [&](Index first, Index size) {  // A U: nothing below row `last`, k < last
    const Index last = first + size;
    gemm<T, T>(gpu, Transpose::no, Transpose::no, 1, read_only(A.view()).block(0, 0, last, last),
               U.block(0, first, last, size), 0, P.view().block(0, first, last, size));
  });
  return P;
}

template <class T>
DeviceMatrix<T> drift_times_inverse(const device::Context& gpu, DeviceView<const T> DU,
                                    DeviceView<const T> U) {
  const Index n = U.rows;
  CONSTRICTOR_REQUIRE(DU.rows == n && DU.cols == n && U.cols == n, DU.rows, DU.cols, n);
  DeviceMatrix<T> shift(gpu, n, n, "the target's shift");
  for_each_panel(n, [&](Index first, Index size) {  // (DU U)[r, c] = sum over k <= c
    const Index last = first + size;
    gemm<T, T>(gpu, Transpose::no, Transpose::no, 1, DU.cols_from(0, last),
               U.block(0, first, last, size), 0, shift.view().cols_from(first, size));
  });
  return shift;
}

#define CONSTRICTOR_FACTORS(T)                                                              \
  template bool inverse_factor(const device::Context&, DeviceView<const T>, DeviceView<T>,  \
                               DeviceView<T>);                                              \
  template bool upper_root(const device::Context&, DeviceView<const T>, DeviceView<T>);     \
  template double condition_estimate(const device::Context&, DeviceView<const T>);          \
  template DeviceMatrix<T> drift_times_factor(const device::Context&, DeviceView<const T>,  \
                                              DeviceView<const T>);                         \
  template DeviceMatrix<T> drift_propagator(const device::Context&, DeviceView<const T>,    \
                                            DeviceView<const T>);                           \
  template DeviceMatrix<T> drift_times_inverse(const device::Context&, DeviceView<const T>, \
                                               DeviceView<const T>)
CONSTRICTOR_FACTORS(float);
CONSTRICTOR_FACTORS(double);
#undef CONSTRICTOR_FACTORS

}  // namespace constrictor::linalg
