// SPDX-License-Identifier: Apache-2.0
#include "quant/zeros.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

double dot(const auto* a, const auto* b, Index n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// Shifted codes of a group and their product with H_in[g,g].
template <class T>
struct Shifted {
  Matrix<T> Z, ZH;  // [rows x size]
  void multiply(View<const T> H) { ZH = linalg::product<T>(Z.view(), H); }
};

/// What one row would do.
struct Offer {
  double change = 0;  // of L, negative
  double scale = 0;
  int shift = 0;  // of the zero; 0 = none
};

template <class T>
class GroupOfZeros {
 public:
  GroupOfZeros(Fit<T>& fit, Index group)
      : fit_(fit),
        g_(group),
        size_(fit.grid.group_size),
        first_(group * size_),
        H_(fit.objective->H_in.block(first_, first_, size_, size_)),
        now_{Matrix<T>(fit.Z.view().cols_from(first_, size_)), {}} {
    now_.multiply(H_);
    for (const int side : {0, 1}) {
      tried_[side].Z = Matrix<T>::uninitialized(fit.Z.rows(), size_);
      for (Index r = 0; r < fit.Z.rows(); ++r) shift_row(r, shift_of(side), tried_[side].Z.row(r));
      tried_[side].multiply(H_);
    }
  }

  /// Goes through the rows; dQ of those that took an offer stands in `taken` [rows x size].
  bool run() {
    taken = Matrix<T>(fit_.Z.rows(), size_);
    bool any = false;
    for (Index p = 0; p < fit_.Z.rows(); ++p) {
      const Index i = fit_.row_at(p);
      Offer best;
      for (const int side : {0, 1}) {
        const Offer offer = offer_of(i, side);
        if (offer.change < best.change) best = offer;
      }
      if (best.shift == 0) continue;
      any = true;
      take(i, best);
      if (fit_.two_sided()) spread_in_group(p, best);
    }
    return any;
  }

  Matrix<T> taken;

 private:
  static int shift_of(int side) { return side == 0 ? -1 : 1; }

  void shift_row(Index r, int shift, T* out) const {
    const T scale = fit_.grid.scale(r, g_), zero = fit_.grid.zero(r, g_), top = fit_.grid.top;
    const T low = -(zero + T(shift)), high = top + low;                 // of the new Z
    const T opened = shift > 0 ? low : high, edge = opened + T(shift);  // one step further / so far
    const T weight = fit_.weight(r);
    for (Index c = 0; c < size_; ++c) {
      const T z = now_.Z(r, c);
      out[c] = std::clamp(z, low, high);
      if (z != edge || !(scale > T(0))) continue;
      const T wish = z + fit_.R(r, first_ + c) / (weight * H_(c, c) * scale);
      if (shift > 0 ? wish < opened + T(0.5) : wish > opened - T(0.5)) out[c] = opened;
    }
  }

  Offer offer_of(Index i, int side) const {
    const double zero = static_cast<double>(fit_.grid.zero(i, g_)) + shift_of(side);
    if (zero < 0 || zero > static_cast<double>(fit_.grid.top)) return {};
    const T *z = now_.Z.row(i), *zh = now_.ZH.row(i), *y = tried_[side].Z.row(i),
            *yh = tried_[side].ZH.row(i), *r = fit_.R.row(i) + first_;
    const double w = static_cast<double>(fit_.weight(i)),
                 s = static_cast<double>(fit_.grid.scale(i, g_));
    const double yy = w * dot(yh, y, size_), yz = w * dot(yh, z, size_), zz = w * dot(zh, z, size_),
                 ry = dot(r, y, size_), rz = dot(r, z, size_);
    if (!(yy > 0)) return {};
    const double scale = static_cast<double>(static_cast<T>((ry + s * yz) / yy));
    if (!(scale > 0) || !std::isfinite(scale)) return {};
    const double change =
        -2 * (scale * ry - s * rz) + (scale * scale * yy - 2 * scale * s * yz + s * s * zz);
    const double noise = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * s * s * zz;
    if (!(change < -noise)) return {};
    return {change, scale, shift_of(side)};
  }

  const Shifted<T>& of(const Offer& offer) const { return tried_[offer.shift > 0 ? 1 : 0]; }

  void take(Index i, const Offer& offer) {
    T &scale = fit_.grid.scale(i, g_), &zero = fit_.grid.zero(i, g_);
    const T old = scale;
    scale = static_cast<T>(offer.scale);
    zero += T(offer.shift);
    for (Index c = 0; c < size_; ++c) {
      const T z = of(offer).Z(i, c);
      taken(i, c) = scale * z - old * now_.Z(i, c);
      fit_.codes(i, first_ + c) = static_cast<std::uint8_t>(z + zero);
    }
    old_scale_ = old;
  }

  /// R[j,g] -= H_out[j,i] dQ_i H_in[g,g] for the rows after position p.
  void spread_in_group(Index p, const Offer& offer) {
    const Index i = fit_.row_at(p);
    const T scale = fit_.grid.scale(i, g_);
    for (Index later = p + 1; later < fit_.Z.rows(); ++later) {
      const Index j = fit_.row_at(later);
      const T weight = fit_.objective->H_out(j, i);
      for (Index c = 0; c < size_; ++c)
        fit_.R(j, first_ + c) -= weight * (scale * of(offer).ZH(i, c) - old_scale_ * now_.ZH(i, c));
    }
  }

  Fit<T>& fit_;
  Index g_, size_, first_;
  View<const T> H_;
  Shifted<T> now_, tried_[2];  // zeros z; z - 1 and z + 1
  T old_scale_ = 0;
};

/// R[:, later groups] -= H_out dQ_g H_in[g, later groups]
template <class T>
void spread_to_later_groups(Fit<T>& fit, Index group, const Matrix<T>& change) {
  const Index size = fit.grid.group_size, last = (group + 1) * size, rest = fit.codes.cols() - last;
  if (rest == 0) return;
  const auto H = fit.objective->H_in.block(group * size, last, size, rest);
  const auto later = fit.R.view().cols_from(last, rest);
  using linalg::Transpose;
  if (!fit.two_sided())
    return linalg::gemm<T>(Transpose::no, Transpose::no, T(-1), change.view(), H, T(1), later);
  const auto weighted = linalg::product<T>(fit.objective->H_out, change.view());
  linalg::gemm<T>(Transpose::no, Transpose::no, T(-1), weighted.view(), H, T(1), later);
}

}  // namespace

template <class T>
void refine_zeros(Fit<T>& fit) {
  if (fit.codes.size() == 0) return;
  fit.need_residual();
  const Fit<T> before = fit;
  bool any = false;
  for (Index g = 0; g < fit.grid.groups(); ++g) {
    GroupOfZeros<T> zeros(fit, g);
    if (!zeros.run()) continue;
    any = true;
    spread_to_later_groups(fit, g, zeros.taken);
  }
  if (!any) return;
  fit.codes_changed();
  take_back_rises(before, fit);
}

template void refine_zeros(Fit<float>&);
template void refine_zeros(Fit<double>&);

}  // namespace constrictor::quant
