// SPDX-License-Identifier: Apache-2.0
// The parts around the blocks, see model/forward_gpu.hpp.
#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/embed.hpp"
#include "kernels/norm.hpp"
#include "model/forward_gpu.hpp"
#include "model/linear_gpu.hpp"

namespace constrictor::model {
namespace {

using device::DeviceMatrix;

DeviceMatrix<float> uploaded_row(const device::Context& gpu, const std::vector<float>& values) {
  if (values.empty()) return {};
  return device::uploaded(gpu, values, "the weight or bias of a norm");
}

/// In pieces: the head in float32 would need twice the memory of the head in bfloat16 once more.
template <class E>
DeviceMatrix<E> uploaded_factor(const device::Context& gpu, const Matrix<float>& from) {
  if constexpr (std::is_same_v<E, float>) {
    return device::uploaded(gpu, from.view(), "the output head");
  } else {
    constexpr Index most_elements = Index{1} << 24;
    const Index rows = std::max<Index>(1, most_elements / std::max<Index>(1, from.cols()));
    DeviceMatrix<E> to(gpu, from.rows(), from.cols(), "the output head");
    for (Index i = 0; i < pieces(from.rows(), rows); ++i) {
      const Piece part = piece(from.rows(), rows, i);
      const auto wide = device::uploaded(gpu, from.view().rows_from(part.first, part.size()),
                                         "a piece of the output head");
      kernels::convert(gpu.main(), wide.view(), to.view().rows_from(part.first, part.size()));
    }
    return to;
  }
}

/// x W'
DeviceMatrix<float> projected(const device::Context& gpu, const DeviceMatrix<float>& x,
                              const DeviceMatrix<float>& W) {
  DeviceMatrix<float> y(gpu, x.rows(), W.rows(), "projected hidden states");
  linalg::gemm<float, float>(gpu, linalg::Transpose::no, linalg::Transpose::yes, 1.0, x.view(),
                             W.view(), 0.0, y.view());
  return y;
}

/// The final norm of the hidden states, where the model has one.
template <class Out>
DeviceMatrix<Out> normed(const device::Context& gpu, const ModelSpec& spec, const DeviceNorm& norm,
                         DeviceView<const float> hidden) {
  if (norm.weight.empty()) return as_factor<Out>(gpu, hidden, "input of the output head");
  DeviceMatrix<Out> result(gpu, hidden.rows, hidden.cols, "input of the output head");
  if (spec.norm_style == NormStyle::rms)
    kernels::rms_norm<Out>(gpu.main(), hidden, norm.weight.view(), spec.norm_eps, result.view());
  else
    kernels::layer_norm<Out>(gpu.main(), hidden, norm.weight.view(), norm.bias.view(),
                             spec.norm_eps, result.view());
  return result;
}

}  // namespace

template <class E>
DeviceEnds<E> uploaded(const device::Context& gpu, const ModelSpec& spec, const ModelEnds& ends) {
  CONSTRICTOR_REQUIRE(ends.token_embedding.rows() == spec.vocabulary, ends.token_embedding.rows(),
                      spec.vocabulary);
  DeviceEnds<E> result;
  result.token_embedding = device::uploaded(gpu, ends.token_embedding.view(), "token embeddings");
  result.position_embedding =
      device::uploaded(gpu, ends.position_embedding.view(), "position embeddings");
  result.project_in = device::uploaded(gpu, ends.project_in.view(), "projection of embeddings");
  result.project_out = device::uploaded(gpu, ends.project_out.view(), "projection to embeddings");
  result.final_norm = {uploaded_row(gpu, ends.final_norm.weight),
                       uploaded_row(gpu, ends.final_norm.bias)};
  result.head = uploaded_factor<E>(gpu, ends.head());
  return result;
}

template <class E>
DeviceMatrix<float> embed(const device::Context& gpu, const ModelSpec& spec,
                          const DeviceEnds<E>& ends, View<const std::int32_t> ids) {
  constexpr Index opt_position_offset = 2;  // rows 0 and 1 of the table are for padding
  for (Index s = 0; s < ids.rows; ++s)
    for (Index t = 0; t < ids.cols; ++t)
      CONSTRICTOR_REQUIRE(ids(s, t) >= 0 && ids(s, t) < ends.token_embedding.rows(), ids(s, t),
                          ends.token_embedding.rows(), s, t);
  DeviceMatrix<float> hidden(gpu, ids.size(), ends.token_embedding.cols(), "embedded tokens");
  const auto device_ids = device::uploaded(gpu, ids, "token ids");
  kernels::embed(gpu.main(), ends.token_embedding.view(), device_ids.view(), hidden.view());
  if (spec.embedding_scale != 1)
    kernels::scale<float>(gpu.main(), spec.embedding_scale, hidden.view());
  if (!ends.project_in.empty()) hidden = projected(gpu, hidden, ends.project_in);
  if (!ends.position_embedding.empty())
    kernels::add_positions(gpu.main(), ends.position_embedding.view(), opt_position_offset,
                           ids.cols, hidden.view());
  CONSTRICTOR_REQUIRE(hidden.cols() == spec.hidden, hidden.cols(), spec.hidden);
  return hidden;
}

template <class E>
DeviceMatrix<E> head_input(const device::Context& gpu, const ModelSpec& spec,
                           const DeviceEnds<E>& ends, DeviceView<const float> hidden) {
  if (ends.project_out.empty()) return normed<E>(gpu, spec, ends.final_norm, hidden);
  const auto wide =
      projected(gpu, normed<float>(gpu, spec, ends.final_norm, hidden), ends.project_out);
  return as_factor<E>(gpu, wide.view(), "input of the output head");
}

#define CONSTRICTOR_INSTANTIATE(E)                                                             \
  template DeviceEnds<E> uploaded(const device::Context&, const ModelSpec&, const ModelEnds&); \
  template DeviceMatrix<float> embed(const device::Context&, const ModelSpec&,                 \
                                     const DeviceEnds<E>&, View<const std::int32_t>);          \
  template DeviceMatrix<E> head_input(const device::Context&, const ModelSpec&,                \
                                      const DeviceEnds<E>&, DeviceView<const float>);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(bfloat16)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::model
