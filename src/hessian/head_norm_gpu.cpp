// SPDX-License-Identifier: Apache-2.0
#include "hessian/head_norm_gpu.hpp"

#include <cmath>

#include "kernels/arithmetic.hpp"
#include "kernels/head_norm.hpp"
#include "kernels/norm.hpp"
#include "kernels/rope.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::hessian {
namespace {

using device::DeviceMatrix;
using linalg::Transpose;

/// Rotations there and back, and T = [cos | sin], [length x d].
struct Rotations {
  Rotations(const device::Context& gpu, const std::vector<float>& frequencies, Index length)
      : T(gpu, length, 2 * static_cast<Index>(frequencies.size()), "rotations"),
        minus_sin(gpu, length, T.cols() / 2, "rotations") {
    const auto radians = device::uploaded(gpu, frequencies, "frequencies of rotations");
    kernels::rope_table(gpu.main(), radians.view(), T.view().cols_from(0, half()),
                        T.view().cols_from(half(), half()));
    device::copy<float>(table().sin, minus_sin.view(), gpu.main());
    kernels::scale<float>(gpu.main(), -1, minus_sin.view());
  }
  Index half() const { return T.cols() / 2; }
  kernels::DeviceRopeTable table() const {
    return {T.view().cols_from(0, half()), T.view().cols_from(half(), half())};
  }
  kernels::DeviceRopeTable back() const { return {table().cos, minus_sin.view()}; }
  DeviceMatrix<float> T, minus_sin;
};

/// One side: all its heads take the same weight of the norm.
template <class E>
class Side {
 public:
  Side(const device::Context& gpu, const Rotations& rotations, const DeviceMatrix<float>& U,
       const DeviceNorm& norm, double eps, Index length)
      : gpu_(gpu), rotations_(rotations), U_(U), norm_(norm), eps_(eps), length_(length) {
    const auto matrix = [&](Index rows) {
      return DeviceMatrix<float>(gpu, rows, d(), "head norms");
    };
    V_ = matrix(tokens()), Y_ = matrix(tokens()), W_ = matrix(tokens()), F_ = matrix(tokens());
    M_ = matrix(pages() * d()), G_ = matrix(pages() * d()), N_ = matrix(pages() * d());
    const float root = 1.f / std::sqrt(static_cast<float>(d()));
    even_ = device::uploaded(gpu, std::vector<float>(static_cast<std::size_t>(d()), root),
                             "the weight of a norm");
    g_root_ = device::copied(gpu, norm.weight.view(), "the weight of a norm");
    kernels::scale<float>(gpu.main(), static_cast<double>(root), g_root_.view());
  }

  /// H <- beta H + the head's sum; M from heads [first, last) of the other side, in E.
  void add(Index head, const DeviceMatrix<E>& other, Index first, Index last, float beta,
           DeviceView<float> H) {
    const auto& stream = gpu_.main();
    const DeviceView<const float> U = U_.view().cols_from(head * d(), d());
    for (Index h = first; h < last; ++h) {
      const auto X = other.view().cols_from(h * d(), d()).rows_from(0, length_);
      linalg::gemm_batched<E, float>(gpu_, Transpose::yes, Transpose::no, 1, X, X,
                                     h == first ? 0 : 1, M_.view().rows_from(0, d()),
                                     {pages(), length_ * X.stride, length_ * X.stride, d() * d()});
    }
    kernels::rms_norm<float>(stream, U, even_.view(), eps_, V_.view());
    kernels::rms_norm<float>(stream, U, g_root_.view(), eps_, W_.view());
    kernels::rope<float>(stream, std::as_const(W_).view(), rotations_.table(), Y_.view());
    batched(Transpose::no, Y_, M_, W_, d());
    kernels::rope<float>(stream, std::as_const(W_).view(), rotations_.back(), Y_.view());
    kernels::head_norm_rows(stream, U, V_.view(), norm_.weight.view(), eps_, rotations_.T.view(),
                            Y_.view(), F_.view());
    batched(Transpose::yes, V_, Y_, N_, length_);
    batched(Transpose::yes, rotations_.T, F_, G_, length_);
    kernels::head_norm_metric(stream, M_.view(), G_.view(), N_.view(), norm_.weight.view(), length_,
                              beta, H);
  }

 private:
  Index d() const { return norm_.weight.cols(); }
  Index tokens() const { return U_.rows(); }
  Index pages() const { return tokens() / length_; }
  /// C <- op(A) B page by page; a page of A has `length` rows (T: the same for all), one of B
  /// `inner` and one of C what is left.
  void batched(Transpose op, const DeviceMatrix<float>& A, const DeviceMatrix<float>& B,
               DeviceMatrix<float>& C, Index inner) const {
    const Index rows = op == Transpose::yes ? d() : length_;
    linalg::gemm_batched<float, float>(
        gpu_, op, Transpose::no, 1, A.view().rows_from(0, length_), B.view().rows_from(0, inner), 0,
        C.view().rows_from(0, rows),
        {pages(), A.rows() == length_ ? 0 : length_ * d(), inner * d(), rows * d()});
  }

  const device::Context& gpu_;
  const Rotations& rotations_;
  const DeviceMatrix<float>& U_;  // [tokens x heads * d] before the norm
  const DeviceNorm& norm_;
  double eps_;
  Index length_;
  DeviceMatrix<float> V_, Y_, W_, F_, M_, G_, N_, even_, g_root_;
};

}  // namespace

template <class E>
void add_head_norm_metrics(const device::Context& gpu, const SumShape& shape,
                           const DeviceTrace<E>& quant, Index length, DeviceSums& sums) {
  const auto& norm = quant.head_norm;
  CONSTRICTOR_REQUIRE(shape.qk_norm && norm.query.rows() == quant.query.rows() &&
                          norm.key.rows() == quant.key.rows() && !norm.frequencies.empty(),
                      norm.query.rows(), norm.key.rows(), quant.query.rows());
  const Index group = shape.heads / shape.kv_heads;
  const float beta = sums.beta();
  const Rotations rotations(gpu, norm.frequencies, length);
  {
    Side<E> queries(gpu, rotations, norm.query, *norm.query_norm, norm.eps, length);
    for (Index h = 0; h < shape.heads; ++h)
      queries.add(h, quant.key, h / group, h / group + 1, beta,
                  sums.key_gram[static_cast<std::size_t>(h)].view());
  }
  Side<E> keys(gpu, rotations, norm.key, *norm.key_norm, norm.eps, length);
  for (Index k = 0; k < shape.kv_heads; ++k)
    keys.add(k, quant.query, k * group, (k + 1) * group, beta,
             sums.query_gram[static_cast<std::size_t>(k)].view());
}

template void add_head_norm_metrics(const device::Context&, const SumShape&,
                                    const DeviceTrace<float>&, Index, DeviceSums&);
template void add_head_norm_metrics(const device::Context&, const SumShape&,
                                    const DeviceTrace<bfloat16>&, Index, DeviceSums&);

}  // namespace constrictor::hessian
