// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "core/parallel.hpp"
#include "export/layer_format.hpp"
#include "export/scales.hpp"
#include "io/stored_numbers.hpp"
#include "kernels/pack_codes.hpp"

namespace constrictor::exports {
namespace {

using kernels::packed_words;

Matrix<std::uint32_t> packed(View<const std::uint8_t> codes, int bits) {
  auto words = Matrix<std::uint32_t>::uninitialized(codes.rows, packed_words(codes.cols, bits));
  kernels::pack_codes(codes, bits, words.view());
  return words;
}

template <class T, class Transpose>
Matrix<T> transposed(const Matrix<T>& from, Transpose&& transpose) {
  auto to = Matrix<T>::uninitialized(from.cols(), from.rows());
  transpose(from.view(), to.view());
  return to;
}
Matrix<std::uint32_t> transposed(const Matrix<std::uint32_t>& from) {
  return transposed(from, kernels::transpose_words);
}
Matrix<std::uint8_t> transposed(const Matrix<std::uint8_t>& from) {
  return transposed(from, kernels::transpose_codes);
}

void write_words(const std::string& name, const Matrix<std::uint32_t>& words,
                 io::SafetensorsWriter& to) {
  to.write<std::uint32_t>(name, words.values());
}

/// <name>.weight_packed [out, words(in)], .weight_scale [out, G], .weight_shape [2],
/// .weight_zero_point [words(out), G] unless symmetric; all streams run along out or in.
class CompressedTensors : public LayerFormat {
 public:
  explicit CompressedTensors(DType dtype) : dtype_(dtype) {}
  std::string word() const override { return "compressed-tensors"; }
  std::string stored_as() const override { return dtype_word(dtype_); }

  std::vector<io::PlannedTensor> tensors(const LayerPlan& plan) const override {
    const int bits = plan.scheme.bits;
    std::vector<io::PlannedTensor> all = {
        {plan.module + ".weight_packed", "I32", {plan.out, packed_words(plan.in, bits)}},
        {plan.module + ".weight_scale", io::safetensors_dtype(dtype_), {plan.out, plan.groups()}},
        {plan.module + ".weight_shape", "I64", {2}}};
    if (!plan.scheme.symmetric)
      all.push_back({plan.module + ".weight_zero_point",
                     "I32",
                     {packed_words(plan.out, bits), plan.groups()}});
    return all;
  }

  std::string obstacle(const LayerPlan& plan) const override {
    return scale_obstacle(plan, dtype_);
  }

  Rounding write(const LayerPlan& plan, const QuantizedLayer& layer,
                 io::SafetensorsWriter& to) const override {
    const int bits = plan.scheme.bits;
    write_words(plan.module + ".weight_packed", packed(layer.codes.view(), bits), to);
    to.write(plan.module + ".weight_scale", io::stored_bytes(dtype_, layer.scale.values()));
    const std::int64_t shape[] = {plan.out, plan.in};
    to.write<std::int64_t>(plan.module + ".weight_shape", shape);
    if (!plan.scheme.symmetric)  // the stream runs down the columns
      write_words(plan.module + ".weight_zero_point",
                  transposed(packed(transposed(zero_codes(layer)).view(), bits)), to);
    return scale_rounding(layer, dtype_);
  }

  std::optional<io::QuantizationConfig> config(
      const std::vector<LayerPlan>& plans,
      const std::vector<std::string>& linear_unquantized) const override {
    io::QuantizationConfig config;
    config.ignore = linear_unquantized;
    const auto schemes = schemes_of(plans);
    if (schemes.size() == 1) {
      config.groups = {{{"Linear"}, schemes.front()}};
      return config;
    }
    for (const io::StoredScheme& scheme : schemes) {
      std::vector<std::string> targets;
      for (const std::string& expression : expressions_for(plans, scheme))
        targets.push_back("re:" + expression);
      config.groups.push_back({targets, scheme});
    }
    return config;
  }

 private:
  DType dtype_;
};

/// <name>.qweight [words(in), out], .qzeros [G, words(out)], .scales [G, out], .g_idx [in].
class Gptq : public LayerFormat {
 public:
  explicit Gptq(bool zero_minus_one) : zero_minus_one_(zero_minus_one) {}
  std::string word() const override { return "gptq"; }
  std::string stored_as() const override { return dtype_word(DType::float16); }

  std::vector<io::PlannedTensor> tensors(const LayerPlan& plan) const override {
    const int bits = plan.scheme.bits;
    return {{plan.module + ".qweight", "I32", {packed_words(plan.in, bits), plan.out}},
            {plan.module + ".qzeros", "I32", {plan.groups(), packed_words(plan.out, bits)}},
            {plan.module + ".scales", "F16", {plan.groups(), plan.out}},
            {plan.module + ".g_idx", "I32", {plan.in}}};
  }

  std::string obstacle(const LayerPlan& plan) const override {
    for (const auto& [count, what] :
         {std::pair(plan.in, " inputs"), std::pair(plan.out, " outputs")})
      if (count * plan.scheme.bits % 32 != 0)
        return "its " + std::to_string(count) + what + " of " + std::to_string(plan.scheme.bits) +
               " bits do not fill whole words of 32 bits";
    return scale_obstacle(plan, DType::float16);
  }

  Rounding write(const LayerPlan& plan, const QuantizedLayer& layer,
                 io::SafetensorsWriter& to) const override {
    const int bits = plan.scheme.bits;
    write_words(plan.module + ".qweight", transposed(packed(layer.codes.view(), bits)), to);
    Matrix<std::uint8_t> zeros = transposed(zero_codes(layer));
    if (zero_minus_one_)
      for (std::uint8_t& zero : zeros.values()) --zero;  // symmetric: 2^(bits - 1), never 0
    write_words(plan.module + ".qzeros", packed(zeros.view(), bits), to);
    Matrix<float> scales(plan.groups(), plan.out);
    for (Index r = 0; r < plan.out; ++r)
      for (Index g = 0; g < plan.groups(); ++g) scales(g, r) = layer.scale(r, g);
    to.write(plan.module + ".scales", io::stored_bytes(DType::float16, scales.values()));
    std::vector<std::int32_t> group_of(static_cast<std::size_t>(plan.in));
    for (Index i = 0; i < plan.in; ++i)
      group_of[static_cast<std::size_t>(i)] =
          static_cast<std::int32_t>(i * plan.groups() / plan.in);
    to.write<std::int32_t>(plan.module + ".g_idx", group_of);
    return scale_rounding(layer, DType::float16);
  }

  std::optional<io::QuantizationConfig> config(const std::vector<LayerPlan>& plans,
                                               const std::vector<std::string>&) const override {
    io::QuantizationConfig config;
    config.packing = io::Packing::gptq;
    config.zero_minus_one = zero_minus_one_;
    const auto schemes = schemes_of(plans);
    config.base = schemes.front();
    for (std::size_t i = 1; i < schemes.size(); ++i)
      for (const std::string& expression : expressions_for(plans, schemes[i]))
        config.overrides.emplace_back(expression, schemes[i]);
    return config;
  }

 private:
  bool zero_minus_one_;
};

/// <name>.weight [out, in], s (C - z) rounded to the type of the source's weight.
class Dequantized : public LayerFormat {
 public:
  std::string word() const override { return "dequantized"; }
  std::string stored_as() const override { return "the model's type"; }

  std::vector<io::PlannedTensor> tensors(const LayerPlan& plan) const override {
    return {
        {plan.module + ".weight", io::safetensors_dtype(plan.weight_dtype), {plan.out, plan.in}}};
  }

  std::string obstacle(const LayerPlan& plan) const override {
    LayerPlan widest = plan;  // |C - z| may reach 2^bits - 1
    widest.largest_scale *= static_cast<float>((1 << plan.scheme.bits) - 1);
    return scale_obstacle(widest, plan.weight_dtype);
  }

  Rounding write(const LayerPlan& plan, const QuantizedLayer& layer,
                 io::SafetensorsWriter& to) const override {
    constexpr Index rows_together = 512;
    const auto width = static_cast<std::uint64_t>(plan.in * io::bytes_of(plan.weight_dtype));
    Rounding rounding;
    for (Index first = 0; first < plan.out; first += rows_together) {
      const Index rows = std::min(rows_together, plan.out - first);
      auto values = Matrix<float>::uninitialized(rows, plan.in);
      std::vector<Rounding> parts(static_cast<std::size_t>(rows));
      parallel_for(rows, [&](Index r) {
        parts[static_cast<std::size_t>(r)] =
            dequantize_row(layer, first + r, plan.weight_dtype, values.row(r));
      });
      for (const Rounding& part : parts) rounding.error += part.error, rounding.size += part.size;
      to.write(plan.module + ".weight", io::stored_bytes(plan.weight_dtype, values.values()),
               static_cast<std::uint64_t>(first) * width);
    }
    return rounding;
  }

  std::optional<io::QuantizationConfig> config(const std::vector<LayerPlan>&,
                                               const std::vector<std::string>&) const override {
    return std::nullopt;
  }

 private:
  static Rounding dequantize_row(const QuantizedLayer& layer, Index row, DType dtype, float* to) {
    const Index groups = layer.scale.cols(), width = layer.codes.cols() / groups;
    Rounding rounding;
    for (Index g = 0; g < groups; ++g) {
      const float scale = layer.scale(row, g), zero = layer.zero(row, g);
      float error = 0, size = 0;
      for (Index c = g * width; c < (g + 1) * width; ++c) {
        const float value = scale * (static_cast<float>(layer.codes(row, c)) - zero);
        const float change = io::as_stored(dtype, value) - value;
        to[c] = value;
        error += change * change;
        size += value * value;
      }
      rounding.error += static_cast<double>(error);
      rounding.size += static_cast<double>(size);
    }
    return rounding;
  }
};

}  // namespace

std::unique_ptr<LayerFormat> compressed_tensors_format(DType model_dtype) {
  return std::make_unique<CompressedTensors>(model_dtype);
}
std::unique_ptr<LayerFormat> gptq_format(bool zero_minus_one) {
  return std::make_unique<Gptq>(zero_minus_one);
}
std::unique_ptr<LayerFormat> dequantized_format() { return std::make_unique<Dequantized>(); }

}  // namespace constrictor::exports
