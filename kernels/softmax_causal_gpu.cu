// SPDX-License-Identifier: Apache-2.0
#include "kernels/rows.cuh"
#include "kernels/softmax_causal.hpp"

namespace constrictor::kernels {
namespace {

__device__ float capped(float score, float cap) {
  return cap > 0 ? cap * tanhf(score / cap) : score;
}

/// The block's row is read three times, the second and third time from the cache: largest score,
/// sum of exponentials, probabilities.
template <class E, int width>
__global__ void softmax_causal_rows(DeviceView<const float> S, Index queries, Index first_position,
                                    SequenceRows<E> A, Index window, float cap) {
  const Index sequence = blockIdx.x / queries, query = blockIdx.x % queries;
  const Index sees = first_position + query + 1;
  const Index seen = sees < S.cols ? sees : S.cols;
  const Index first = window > 0 && sees > window ? sees - window : 0;
  const float* s = S.row(blockIdx.x);
  E* a = A.first.row(sequence * A.rows_apart + query);

  float largest = -INFINITY;
  for (Index c = first_column<width>(); c < seen; c += column_step<width>()) {
    const auto score = load<width>(s + c);
    for (int i = 0; i < width; ++i)
      if (c + i >= first && c + i < seen && score.values[i] > largest) largest = score.values[i];
  }
  largest = capped(block_max(largest), cap);  // the cap keeps the order

  float sum = 0;
  for (Index c = first_column<width>(); c < seen; c += column_step<width>()) {
    const auto score = load<width>(s + c);
    for (int i = 0; i < width; ++i)
      if (c + i >= first && c + i < seen) sum += expf(capped(score.values[i], cap) - largest);
  }
  const float scale = 1.0f / block_sum(sum);

  for (Index c = first_column<width>(); c < A.first.cols; c += column_step<width>()) {
    // Without branches, which would tear the store apart: what is not seen is read and not used.
    auto probability = load<width>(s + (c < seen ? c : 0));
    for (int i = 0; i < width; ++i) {
      const float e = expf(capped(probability.values[i], cap) - largest) * scale;
      probability.values[i] = c + i >= first && c + i < seen ? e : 0.0f;
    }
    store<width>(probability, a + c);
  }
}

}  // namespace

template <class E>
void softmax_causal(const device::Stream& stream, DeviceView<const float> S, Index first_position,
                    SequenceRows<E> A, const AttentionForm& form) {
  const Index queries = A.first.rows;
  if (S.rows == 0 || A.first.size() == 0) return;
  CONSTRICTOR_REQUIRE(first_position >= 0 && S.cols > 0 && A.first.cols >= S.cols, first_position,
                      S.cols, A.first.cols);
  CONSTRICTOR_REQUIRE(S.rows % queries == 0, S.rows, queries);
  launch_rows("softmax_causal", in_fours(S, A.first), softmax_causal_rows<E, 4>,
              softmax_causal_rows<E, 1>, S.rows, A.first.cols, stream, S, queries, first_position,
              A, form.window, form.soft_cap);
}

template void softmax_causal(const device::Stream&, DeviceView<const float>, Index,
                             SequenceRows<float>, const AttentionForm&);
template void softmax_causal(const device::Stream&, DeviceView<const float>, Index,
                             SequenceRows<bfloat16>, const AttentionForm&);

}  // namespace constrictor::kernels
