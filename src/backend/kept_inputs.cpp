// SPDX-License-Identifier: Apache-2.0
#include "backend/kept_inputs.hpp"

#include <algorithm>

namespace constrictor::backend {

void KeptInputs::append(const BlockTrace& quant, const BlockTrace& full, Index first_token) {
  const auto input_of = [](const BlockTrace& t, Role role) -> const Matrix<float>& {
    switch (role) {
      case Role::output:
        return t.output_input;
      case Role::gate:
      case Role::up:
        return t.mlp_input;
      case Role::down:
        return t.down_input;
      default:
        return t.attention_input;
    }
  };
  const auto append = [&](Matrix<float>& to, const Matrix<float>& from) {
    const Index rows = std::min(from.rows(), tokens - first_token);
    auto longer = Matrix<float>::uninitialized(to.rows() + rows, from.cols());
    std::copy(to.data(), to.data() + to.size(), longer.data());
    std::copy(from.data(), from.row(rows), longer.row(to.rows()));
    to = std::move(longer);
  };
  for (const Role role : roles) {
    if (input_of(quant, role).empty()) continue;  // an expert's, which sees some tokens only
    auto& [q, f] = inputs[role];
    append(q, input_of(quant, role));
    append(f, input_of(full, role));
  }
}

void KeptInputs::collect(const comm::Communicator& ranks, const Block& block) {
  for (const Role role : roles) {
    auto& [quant, full] = inputs[role];
    for (Matrix<float>* part : {&quant, &full}) {
      const Index cols = block.layer(role).weight.cols();
      std::vector<float> rows;
      for (const auto& bytes :
           ranks.gather(comm::bytes_of(std::span<const float>(part->values())))) {
        const auto values = comm::values_of<float>(bytes);
        rows.insert(rows.end(), values.begin(), values.end());
      }
      *part = Matrix<float>::uninitialized(static_cast<Index>(rows.size()) / cols, cols);
      std::copy(rows.begin(), rows.end(), part->data());
    }
  }
}

}  // namespace constrictor::backend
