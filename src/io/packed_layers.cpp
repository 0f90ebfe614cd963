// SPDX-License-Identifier: Apache-2.0
#include "io/packed_layers.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "core/parallel.hpp"
#include "io/packed_tensors.hpp"
#include "io/stored_numbers.hpp"
#include "kernels/pack_codes.hpp"

namespace constrictor::io {
namespace {

std::string module_of(const std::string& weight) {
  const std::string_view ending = ".weight";
  return weight.ends_with(ending) ? weight.substr(0, weight.size() - ending.size()) : "";
}

Matrix<std::uint8_t> transposed(const Matrix<std::uint8_t>& from) {
  auto to = Matrix<std::uint8_t>::uninitialized(from.cols(), from.rows());
  kernels::transpose_codes(from.view(), to.view());
  return to;
}

Matrix<std::uint32_t> transposed(const Matrix<std::uint32_t>& from) {
  auto to = Matrix<std::uint32_t>::uninitialized(from.cols(), from.rows());
  kernels::transpose_words(from.view(), to.view());
  return to;
}

}  // namespace

/// Everything a weight is made of: codes [out x in], scale and zero [out x groups], the group of
/// each input.
struct PackedLayers::Parts {
  Matrix<std::uint8_t> codes;
  Matrix<float> scale, zero;
  std::vector<Index> group_of;
};

bool PackedLayers::holds(const ModelFiles& files, const std::string& weight) const {
  if (!config_ || files.find(weight).file != nullptr) return false;
  const std::string module = module_of(weight);
  if (layers_.count(module) != 0) return true;
  return !module.empty() && config_->scheme_of(module).has_value();
}

void PackedLayers::check(const ModelFiles& files, const std::string& weight, Index out, Index in) {
  const std::string module = module_of(weight);
  const Layer layer{*config_->scheme_of(module), out, in};
  if (config_->packing == Packing::gptq)
    check_gptq(files, module, layer);
  else
    check_compressed_tensors(files, module, layer);
  layers_[module] = layer;
}

void PackedLayers::check_compressed_tensors(const ModelFiles& files, const std::string& module,
                                            const Layer& layer) const {
  const int bits = layer.scheme.bits;
  require_tensor(files, module + ".weight_packed", {"I32"},
                 {{layer.out, kernels::packed_words(layer.in, bits)},
                  {layer.out, padded_words(layer.in, bits)}});
  std::vector<std::vector<Index>> shapes = {{layer.out, layer.groups()}};
  if (layer.groups() == 1) shapes.push_back({layer.out});
  require_tensor(files, module + ".weight_scale", {"BF16", "F16", "F32"}, shapes);
  if (!layer.scheme.symmetric) {
    const std::string zero = module + ".weight_zero_point";
    if (files.at(zero).entry->dtype == "I8")
      require_tensor(files, zero, {"I8"}, {{layer.out, layer.groups()}});
    else
      require_tensor(files, zero, {"I32"},
                     {{kernels::packed_words(layer.out, bits), layer.groups()},
                      {padded_words(layer.out, bits), layer.groups()}});
  }
  if (files.find(module + ".weight_g_idx").file != nullptr)
    require_tensor(files, module + ".weight_g_idx", {"I32"}, {{layer.in}});
}

void PackedLayers::check_gptq(const ModelFiles& files, const std::string& module,
                              const Layer& layer) const {
  const int bits = layer.scheme.bits;
  require_tensor(files, module + ".qweight", {"I32"},
                 {{kernels::packed_words(layer.in, bits), layer.out}});
  require_tensor(files, module + ".qzeros", {"I32"},
                 {{layer.groups(), kernels::packed_words(layer.out, bits)}});
  require_tensor(files, module + ".scales", {"F16", "BF16", "F32"}, {{layer.groups(), layer.out}});
  if (files.find(module + ".g_idx").file != nullptr)
    require_tensor(files, module + ".g_idx", {"I32"}, {{layer.in}});
}

PackedLayers::Parts PackedLayers::compressed_tensors_parts(const ModelFiles& files,
                                                           const std::string& module,
                                                           const Layer& layer,
                                                           const std::string& owner) const {
  const int bits = layer.scheme.bits;
  Parts parts;
  parts.codes = unpacked(load_words(files.at(module + ".weight_packed")), bits, layer.in);
  parts.scale = load_scales(files.at(module + ".weight_scale"), layer.out, layer.groups(), owner);
  parts.zero = Matrix<float>(layer.out, layer.groups());
  parts.zero.fill(static_cast<float>(1 << (bits - 1)));
  if (!layer.scheme.symmetric) {
    const StoredTensor stored = files.at(module + ".weight_zero_point");
    if (stored.entry->dtype == "I8") {  // as signed numbers, before 2025
      const auto bytes = stored.bytes();
      for (Index i = 0; i < parts.zero.size(); ++i)
        parts.zero.data()[i] +=
            static_cast<float>(static_cast<std::int8_t>(bytes[static_cast<std::size_t>(i)]));
    } else {
      const Matrix<std::uint8_t> zero =
          transposed(unpacked(transposed(load_words(stored)), bits, layer.out));
      parts.zero = converted<float>(zero.view());
    }
  }
  parts.group_of = load_groups(files.find(module + ".weight_g_idx"), layer.in,
                               layer.scheme.group_size, layer.groups());
  return parts;
}

PackedLayers::Parts PackedLayers::gptq_parts(const ModelFiles& files, const std::string& module,
                                             const Layer& layer, const std::string& owner) const {
  const int bits = layer.scheme.bits;
  Parts parts;
  parts.codes = unpacked(transposed(load_words(files.at(module + ".qweight"))), bits, layer.in);
  const Matrix<float> scale =
      load_scales(files.at(module + ".scales"), layer.groups(), layer.out, owner);
  const auto zero = unpacked(load_words(files.at(module + ".qzeros")), bits, layer.out);
  parts.scale = Matrix<float>(layer.out, layer.groups());
  parts.zero = Matrix<float>(layer.out, layer.groups());
  for (Index r = 0; r < layer.out; ++r)
    for (Index g = 0; g < layer.groups(); ++g) {
      parts.scale(r, g) = scale(g, r);
      parts.zero(r, g) = static_cast<float>(zero(g, r) + (config_->zero_minus_one ? 1 : 0));
    }
  parts.group_of =
      load_groups(files.find(module + ".g_idx"), layer.in, layer.scheme.group_size, layer.groups());
  return parts;
}

Matrix<float> PackedLayers::load(const ModelFiles& files, const std::string& weight,
                                 const std::string& owner) const {
  const std::string module = module_of(weight);
  const Layer& layer = layers_.at(module);
  const Parts parts = config_->packing == Packing::gptq
                          ? gptq_parts(files, module, layer, owner)
                          : compressed_tensors_parts(files, module, layer, owner);
  auto W = Matrix<float>::uninitialized(layer.out, layer.in);
  parallel_for(pieces(layer.out, 16), [&](Index t) {
    const Piece rows = piece(layer.out, 16, t);
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index c = 0; c < layer.in; ++c) {
        const Index g = parts.group_of[static_cast<std::size_t>(c)];
        W(r, c) = parts.scale(r, g) * (static_cast<float>(parts.codes(r, c)) - parts.zero(r, g));
      }
  });
  return W;
}

std::optional<DType> PackedLayers::dtype(const ModelFiles& files, const std::string& weight) const {
  if (config_->packing == Packing::gptq) return std::nullopt;
  return dtype_of(files.at(module_of(weight) + ".weight_scale").entry->dtype);
}

std::string PackedLayers::words() const {
  if (layers_.empty()) return "";
  std::map<StoredScheme, Index> counts;
  for (const auto& [module, layer] : layers_) ++counts[layer.scheme];
  std::string text = config_->packing == Packing::gptq ? "gptq" : "compressed-tensors";
  for (const auto& [scheme, count] : counts)
    text += (text.find(':') == std::string::npos ? ": " : "; ") + std::to_string(count) +
            " layers of " + std::to_string(scheme.bits) + " bits, " +
            (scheme.group_size > 0 ? "groups of " + std::to_string(scheme.group_size)
                                   : std::string("one scale a row")) +
            (scheme.symmetric ? ", symmetric" : ", asymmetric");
  return text;
}

}  // namespace constrictor::io
