#include "t3d/diffusion/layers.h"

#include <ATen/ATen.h>

#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>

#include "t3d/core/error.h"
#include "t3d/ops/group_norm.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/packed_gradient.h"
#include "t3d/ops/packed_weight.h"
#include "t3d/ops/simd.h"

namespace t3d::diffusion {
namespace {

constexpr int64_t kFewValues = 1024;

at::Tensor as_type_of(const at::Tensor& parameter, const at::Tensor& x) {
  return parameter.defined() ? parameter.to(x.scalar_type()) : parameter;
}

bool needs_single(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16);
}

bool records(const at::Tensor& x) {
  return x.defined() && at::GradMode::is_enabled() && x.requires_grad();
}

bool multiplies_bfloat16(const at::Tensor& x, at::ScalarType as) {
  return as == at::kBFloat16 && x.is_cpu() && ops::matrix_unit() != ops::MatrixUnit::None;
}

/// Whether bfloat16 kernels take it, after rounding.
bool is_for_bfloat16(const at::Tensor& x, at::ScalarType as) {
  return multiplies_bfloat16(x, as) && (x.scalar_type() == at::kFloat || x.scalar_type() == as);
}

/// Whether products with these packed weights take it as numbers of the type `as`.
bool is_for_packed(const ops::PackedWeight& packed, const at::Tensor& x, at::ScalarType as) {
  if (packed.type() != as) return false;
  return as == at::kBFloat16 ? is_for_bfloat16(x, as) : x.is_cpu() && x.scalar_type() == as;
}

/// Whether layer norm's own kernel takes it: no gradients, a type and a CPU that it is for.
bool is_plain_bfloat16(const at::Tensor& x, at::ScalarType as, const at::Tensor& weight,
                       const at::Tensor& bias) {
  return is_for_bfloat16(x, as) && !records(x) && !records(weight) && !records(bias);
}

at::ScalarType or_same(at::ScalarType as, const at::Tensor& x) {
  return as == kSame ? x.scalar_type() : as;
}

/// y + more in the type of `more`, or y as it is asked for.
at::Tensor sum(const at::Tensor& y, const at::Tensor& more, at::ScalarType as) {
  return more.defined() ? (y + more).to(more.scalar_type()) : y.to(as);
}

}  // namespace

bool packs(const at::Tensor& weight) {
  return ops::packs(weight) && (weight.scalar_type() == at::kFloat || ops::has_fast_matrix_unit());
}

void Packable::pack(at::Tensor& weight, const at::Tensor& bias, bool is_gated) {
  if (packed_ != nullptr || !packs(weight) || weight.requires_grad()) return;
  if (is_gated && weight.size(0) % 32 != 0) return;
  const c10::NoGradGuard no_grad;
  packed_ = std::make_shared<ops::PackedWeight>(
      weight, bias, is_gated ? ops::PackedWeight::Order::Gated : ops::PackedWeight::Order::Plain);
  // The shape stays for whoever asks for it. Numbers that are read by mistake must not pass for weights.
  weight.set_data(
      at::full({1}, std::numeric_limits<float>::quiet_NaN(), weight.options()).expand(weight.sizes()));
}

std::shared_ptr<const ops::PackedWeight> Packable::for_call(const at::Tensor& x) const {
  return packed_ != nullptr && is_for_packed(*packed_, x, x.scalar_type()) ? packed_ : nullptr;
}

at::Tensor Packable::plain(const at::Tensor& weight) const {
  return packed_ != nullptr ? packed_->weight() : weight;
}

at::ScalarType arithmetic_type(at::ScalarType stored, c10::Device device) {
  if (!device.is_cpu()) return stored;
  if (stored == at::kHalf) return at::kFloat;
  // LibTorch's bfloat16 operators are slower than single precision where they have no AVX-512.
  return stored == at::kBFloat16 && ops::simd() != ops::Simd::Avx512 ? at::kFloat : stored;
}

at::Tensor factor_of(const at::Tensor& x) {
  const bool is_emulated = x.is_cpu() && x.scalar_type() == at::kBFloat16 && !ops::has_fast_matrix_unit();
  return is_emulated ? x.to(at::kFloat) : x;
}

at::ScalarType sum_type(at::ScalarType arithmetic) {
  return arithmetic == at::kBFloat16 ? at::kFloat : arithmetic;
}

Weights in_sum_type(const Weights& w) {
  return w.as(sum_type(arithmetic_type(w.dtype(), w.device())));
}

at::Tensor in_layout(const at::Tensor& x, at::ScalarType arithmetic, bool is_packed) {
  return x.is_cuda() || is_packed || multiplies_bfloat16(x, arithmetic)
             ? x.contiguous(at::MemoryFormat::ChannelsLast)
             : x;
}

Linear::Linear(const Weights& w, int64_t n_in, int64_t n_out, bool has_bias, Init init)
    : weight(w.take("weight", {n_out, n_in}, init)) {
  if (has_bias) bias = w.take("bias", {n_out}, init);
}

Linear Linear::pointwise(const Weights& w, int64_t n_in, int64_t n_out, Init init) {
  Linear layer;
  layer.weight = w.take("weight", {n_out, n_in, 1, 1}, init);
  layer.bias = w.take("bias", {n_out}, init == Init::Zero ? Init::Zero : Init::FanIn);
  return layer;
}

at::Tensor Linear::operator()(const at::Tensor& x, const at::Tensor& residual, at::ScalarType as) const {
  if (const auto packed = packable_.for_call(x))
    return records(x) || records(residual) ? ops::packed_linear(packed, x, residual, or_same(as, x))
                                           : packed->linear(x, residual, or_same(as, x));
  const at::Tensor w = packable_.plain(weight), in = factor_of(x);
  return sum(at::linear(in, as_type_of(w.dim() == 2 ? w : w.flatten(1), in), as_type_of(bias, in)), residual,
             or_same(as, x));
}

at::Tensor Linear::gated(const at::Tensor& x) const {
  if (const auto packed = packable_.for_call(x); packed != nullptr && !records(x)) return packed->gated(x);
  const at::Tensor in = factor_of(x);
  const auto halves =
      at::linear(in, as_type_of(packable_.plain(weight), in), as_type_of(bias, in)).chunk(2, -1);
  return (halves[0] * at::gelu(halves[1])).to(x.scalar_type());
}

Conv2d::Conv2d(const Weights& w, int64_t n_in, int64_t n_out, Shape the_shape, bool has_bias, Init init)
    : weight(w.take("weight", {n_out, n_in, the_shape.kernel, the_shape.kernel}, init)), shape(the_shape) {
  if (has_bias) bias = w.take("bias", {n_out}, init);
  // Rearranged once instead of at every call. The tensor stays the same object for whoever trains it.
  if (weight.is_cuda() && !weight.requires_grad()) weight.set_data(in_layout(weight));
}

at::Tensor Conv2d::operator()(const at::Tensor& x, const Extra& extra) const {
  return of_rounded(x, x.scalar_type(), extra);
}

at::Tensor Conv2d::of_rounded(const at::Tensor& x, at::ScalarType arithmetic, Extra extra) const {
  extra.as = or_same(extra.as, x);
  if (const auto& packed = packable_.held();
      packed != nullptr && is_for_packed(*packed, x, arithmetic) && !records(extra.item_bias)) {
    const ops::PackedWeight::Extra more{extra.item_bias, extra.residual, extra.as};
    const ops::Padding padding(shape.padding, shape.padding + shape.more_behind);
    return records(x) || records(extra.residual)
               ? ops::packed_convolution(packed, x, shape.stride, padding, more)
               : packed->convolution(x, shape.stride, padding, more);
  }
  at::Tensor in = factor_of(x.to(arithmetic));
  if (shape.more_behind > 0) in = at::constant_pad_nd(in, {0, shape.more_behind, 0, shape.more_behind});
  at::Tensor y = at::conv2d(in, as_type_of(packable_.plain(weight), in), as_type_of(bias, in),
                            {shape.stride, shape.stride}, {shape.padding, shape.padding});
  if (extra.item_bias.defined()) y = y + extra.item_bias.unsqueeze(-1).unsqueeze(-1);
  return sum(y, extra.residual, extra.as);
}

at::Tensor Conv2d::after(const GroupNorm& norm, const at::Tensor& in, at::ScalarType arithmetic,
                         Extra extra) const {
  extra.as = or_same(extra.as, in);
  const auto& packed = packable_.held();
  if (packed == nullptr || !is_for_packed(*packed, in, arithmetic) || records(extra.item_bias) ||
      shape.more_behind > 0)
    return (*this)(norm.with_silu(in, arithmetic), extra);
  const at::Tensor x = in.contiguous(at::MemoryFormat::ChannelsLast);
  const ops::PackedWeight::Extra more{extra.item_bias, extra.residual, extra.as};
  if (records(x) || records(norm.weight) || records(norm.bias) || records(extra.residual))
    return ops::packed_convolution_of_norm(packed, {norm.weight, norm.bias, norm.n_groups, norm.eps}, x,
                                           shape.stride, shape.padding, more);
  return packed->convolution(
      ops::bordered_group_norm(x, norm.weight, norm.bias, norm.n_groups, norm.eps, true, shape.padding,
                               packed->type()),
      shape.stride, more);
}

GroupNorm::GroupNorm(const Weights& w, int64_t n_channels, int64_t groups, double epsilon)
    : weight(w.take("weight", {n_channels}, Init::One)),
      bias(w.take("bias", {n_channels}, Init::Zero)),
      n_groups(groups),
      eps(epsilon) {}

at::Tensor GroupNorm::apply(const at::Tensor& x, bool with_silu, at::ScalarType wanted) const {
  const at::ScalarType as = or_same(wanted, x);
  if (as == at::kBFloat16 && ops::bf16_group_norm_runs(x))
    return ops::bf16_group_norm(x, weight, bias, n_groups, eps, with_silu);
  if (as == at::kFloat && ops::float_group_norm_runs(x))
    return ops::group_norm(x, weight, bias, n_groups, eps, with_silu);
  // LibTorch 1.13 refuses or rounds bfloat16 statistics on the CPU. Over few values the deviation can be far
  // below the mean, and single precision's rounding is then blown up; double costs nothing at that size.
  const int64_t group_values = x.numel() / std::max<int64_t>(1, x.size(0) * n_groups);
  const at::Tensor y = x.is_cpu() && group_values <= kFewValues ? x.to(at::kDouble)
                       : needs_single(x)                        ? x.to(at::kFloat)
                                                                : x;
  if (y.is_same(x))
    return ops::group_norm(x, as_type_of(weight, x), as_type_of(bias, x), n_groups, eps, with_silu).to(as);
  const auto z = ops::group_norm(y, as_type_of(weight, y), as_type_of(bias, y), n_groups, eps, false);
  return (with_silu ? at::silu(z.to(x.scalar_type())) : z).to(as);
}

LayerNorm::LayerNorm(const Weights& w, int64_t n_channels, double epsilon)
    : weight(w.take("weight", {n_channels}, Init::One)),
      bias(w.take("bias", {n_channels}, Init::Zero)),
      eps(epsilon) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x, at::ScalarType wanted) const {
  const at::ScalarType as = or_same(wanted, x);
  if (is_plain_bfloat16(x, as, weight, bias)) return ops::bf16_layer_norm(x, weight, bias, eps);
  const at::Tensor y = needs_single(x) ? x.to(at::kFloat) : x;
  return at::layer_norm(y, {weight.size(0)}, as_type_of(weight, y), as_type_of(bias, y), eps).to(as);
}

Embedding::Embedding(const Weights& w, int64_t n_rows, int64_t n_columns)
    : weight(w.take("weight", {n_rows, n_columns}, Init::Normal)) {}

at::Tensor Embedding::operator()(const at::Tensor& ids) const {
  // at::embedding's gradient waits for the device on CUDA; that of a selection does not.
  if (!ids.is_cpu()) {
    std::vector<int64_t> shape = ids.sizes().vec();
    shape.push_back(weight.size(1));
    return weight.index_select(0, ids.reshape({-1})).view(shape);
  }
  return at::embedding(weight, ids);
}

}  // namespace t3d::diffusion
