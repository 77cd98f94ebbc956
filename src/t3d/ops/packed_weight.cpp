#include "t3d/ops/packed_weight.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "t3d/core/error.h"
#include "t3d/ops/bf16_tensors.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/norm_kernels.h"
#include "t3d/ops/product_kernels.h"

namespace t3d::ops {
namespace {

constexpr int64_t kStep = 32, kStepNumbers = kStep * kStep;

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// Where row i of gated weights comes from: 16 values, then their 16 gates, and so on.
at::Tensor gated_order(int64_t n_out) {
  const auto values = at::arange(n_out / 2, at::kLong).view({-1, 1, 16});
  return at::cat({values, values + n_out / 2}, 1).reshape({-1});
}

at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

at::ScalarType result_type(const at::Tensor& residual, at::ScalarType as) {
  const auto type = residual.defined() ? residual.scalar_type() : as;
  T3D_CHECK(type == at::kBFloat16 || type == at::kFloat, "a result of type ", c10::toString(type));
  return type;
}

}  // namespace

bool packs(const at::Tensor& weight) {
  return matrix_unit() != MatrixUnit::None && weight.is_cpu() && weight.scalar_type() == at::kBFloat16;
}

BorderedPicture BorderedPicture::empty(int64_t n_items, int64_t n_channels, int64_t height, int64_t width,
                                       int64_t border) {
  BorderedPicture p;
  p.n_items = n_items;
  p.n_channels = n_channels;
  p.height = height;
  p.width = width;
  p.border = border;
  p.padding = border;
  // Tiles of 16 rows may read beyond the last pixel, by up to a stride of 2 and a row; the sums are dropped.
  const int64_t row = width + 2 * border,
                pixels = n_items * (height + 2 * border) * row + 2 * (row + 16) + 16;
  p.numbers = at::empty({pixels * p.pixel_stride()}, at::TensorOptions().dtype(at::kBFloat16));
  return p;
}

BorderedPicture BorderedPicture::of(const at::Tensor& x, Padding padding) {
  const int64_t border = std::max(padding.before, padding.behind);
  auto p = empty(x.size(0), x.size(1), x.size(2), x.size(3), border);
  p.padding = padding;
  const auto from = channels_last(x);
  cpu::add_border(numbers_of(from), p.n_items, p.height, p.width, p.n_channels, border, p.pixel_stride(),
                  bf16_numbers_to_write(p.numbers));
  return p;
}

PackedWeight::PackedWeight(const at::Tensor& weight, const at::Tensor& bias, Order order)
    : shape_(weight.sizes().vec()),
      order_(order),
      n_out_(weight.size(0)),
      n_in_(weight.size(1)),
      kernel_height_(weight.dim() == 4 ? weight.size(2) : 1),
      kernel_width_(weight.dim() == 4 ? weight.size(3) : 1) {
  T3D_CHECK(packs(weight) && (weight.dim() == 2 || weight.dim() == 4), "weight ", weight.sizes(),
            " cannot be packed");
  const int64_t n_taps = kernel_height_ * kernel_width_, steps = round_up(n_in_, kStep) / kStep;
  T3D_CHECK(order == Order::Plain || (n_taps == 1 && n_out_ % 32 == 0), "gated weight ", weight.sizes());
  at::Tensor taps = weight.reshape({n_out_, n_in_, n_taps}).permute({2, 0, 1});
  if (order == Order::Gated) taps = taps.index_select(1, gated_order(n_out_));
  taps = taps.contiguous();  // [k l,out,in]
  packed_ = at::empty({round_up(n_out_, kStep) / kStep * n_taps * steps * kStepNumbers}, weight.options());
  for (int64_t tap = 0; tap < n_taps; ++tap)
    cpu::pack_weight(bf16_numbers(taps) + tap * n_out_ * n_in_, n_in_, n_out_, n_in_, tap, n_taps,
                     bf16_numbers_to_write(packed_));
  if (!bias.defined()) return;
  bias_ = at::zeros({round_up(n_out_, kStep)}, at::kFloat);
  bias_.narrow(0, 0, n_out_).copy_(order == Order::Gated ? bias.index_select(0, gated_order(n_out_)) : bias);
}

at::Tensor PackedWeight::weight() const {
  const int64_t n_taps = kernel_height_ * kernel_width_;
  auto taps = at::empty({n_taps, n_out_, n_in_}, packed_.options());
  for (int64_t tap = 0; tap < n_taps; ++tap)
    cpu::unpack_weight(bf16_numbers(packed_), n_out_, n_in_, tap, n_taps,
                       bf16_numbers_to_write(taps) + tap * n_out_ * n_in_, n_in_);
  if (order_ == Order::Gated) taps = taps.index_select(1, at::argsort(gated_order(n_out_)));
  return taps.permute({1, 2, 0}).reshape(shape_).contiguous();
}

/// For stride 1 the weights [in,out,k,k] of the adjoint, with the kernel turned round. For stride 2 one such
/// for each phase (y % 2, x % 2) of the adjoint's result, with every second row and column of the kernel.
const std::vector<std::unique_ptr<const PackedWeight>>& PackedWeight::transposed(int64_t stride) const {
  auto& list = transposed_[stride - 1];
  std::call_once(transposes_once_[stride - 1], [&] {
    const at::Tensor w = weight().transpose(0, 1);
    if (w.dim() == 2) list.push_back(std::make_unique<const PackedWeight>(w, at::Tensor()));
    for (int64_t phase = 0; w.dim() == 4 && phase < stride * stride; ++phase)
      list.push_back(std::make_unique<const PackedWeight>(
          w.slice(2, phase / stride, {}, stride).slice(3, phase % stride, {}, stride).flip({2, 3}),
          at::Tensor()));
  });
  return list;
}

/// Rows of the left factor and where their results go.
struct PackedWeight::Tiles {
  std::vector<const uint16_t*> first;
  std::vector<int32_t> out_rows;
  std::vector<int64_t> taps;
  int64_t stride = 0;

  /// Sixteen rows from `at` on; row_of(i) says where the result of row i goes, or -1.
  template <class RowOf>
  void add(const uint16_t* at, const RowOf& row_of) {
    first.push_back(at);
    for (int64_t i = 0; i < cpu::kTileRows; ++i) out_rows.push_back(static_cast<int32_t>(row_of(i)));
  }
  void make_even() {
    if (first.size() % 2 != 0) add(first.back(), [](int64_t) { return -1; });
  }
};

void PackedWeight::run(const Tiles& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
                       const at::Tensor& residual, bool is_gated, const at::Tensor& out) const {
  cpu::ProductCall call{};
  call.n_tiles = static_cast<int64_t>(tiles.first.size());
  call.tiles = tiles.first.data();
  call.left_stride = tiles.stride;
  call.out_rows = tiles.out_rows.data();
  call.n_taps = static_cast<int64_t>(tiles.taps.size());
  call.taps = tiles.taps.data();
  call.steps_per_tap = round_up(n_in_, kStep) / kStep;
  call.n_columns = n_out_;
  call.packed = bf16_numbers(packed_);
  call.bias = bias_.defined() ? bias_.data_ptr<float>() : nullptr;
  call.item_bias = item_bias.defined() ? item_bias.data_ptr<float>() : nullptr;
  call.rows_per_item = rows_per_item;
  call.is_single = out.scalar_type() == at::kFloat;
  call.residual = residual.defined() ? residual.data_ptr() : nullptr;
  call.residual_stride = n_out_;
  call.is_gated = is_gated;
  call.out = out.data_ptr();
  call.out_stride = is_gated ? n_out_ / 2 : n_out_;
  cpu::product(call);
}

at::Tensor PackedWeight::linear(const at::Tensor& x, const at::Tensor& residual, at::ScalarType as) const {
  return rows(x, residual, false, as);
}

at::Tensor PackedWeight::gated(const at::Tensor& x) const {
  T3D_CHECK(order_ == Order::Gated, "the weight is not packed in pairs");
  return rows(x, {}, true, at::kBFloat16);
}

at::Tensor PackedWeight::rows(const at::Tensor& x_in, const at::Tensor& residual, bool is_gated,
                              at::ScalarType as) const {
  T3D_CHECK(
      x_in.scalar_type() == at::kBFloat16 && x_in.size(-1) == n_in_ && kernel_height_ * kernel_width_ == 1,
      "x ", x_in.sizes(), " times ", at::IntArrayRef(shape_));
  T3D_CHECK(is_gated == (order_ == Order::Gated), "gated and plain weights are packed differently");
  const int64_t wide = round_up(n_in_, kStep), n_rows = x_in.numel() / n_in_;
  auto x = x_in.reshape({n_rows, n_in_});
  x = wide == n_in_ ? x.contiguous() : at::constant_pad_nd(x, {0, wide - n_in_});
  Tiles tiles;
  tiles.stride = wide;
  tiles.taps = {0};
  const int64_t whole = n_rows / cpu::kTileRows * cpu::kTileRows;
  for (int64_t row = 0; row < whole; row += cpu::kTileRows)
    tiles.add(bf16_numbers(x) + row * wide, [row](int64_t i) { return row + i; });
  at::Tensor rest;  // a last tile that is not full is read from a copy
  if (whole < n_rows) {
    rest = at::zeros({cpu::kTileRows, wide}, x.options());
    rest.narrow(0, 0, n_rows - whole).copy_(x.narrow(0, whole, n_rows - whole));
    tiles.add(bf16_numbers(rest), [&](int64_t i) { return whole + i < n_rows ? whole + i : -1; });
  }
  tiles.make_even();
  auto shape = x_in.sizes().vec();
  shape.back() = is_gated ? n_out_ / 2 : n_out_;
  const auto out = at::empty(shape, x.options().dtype(result_type(residual, as)));
  T3D_CHECK(!residual.defined() || residual.sizes() == out.sizes(), "residual ",
            residual.defined() ? residual.sizes() : at::IntArrayRef(), " to ", out.sizes());
  if (n_rows > 0) run(tiles, 1, {}, residual.defined() ? residual.contiguous() : residual, is_gated, out);
  return out;
}

/// The products of a convolution. The one for (y, x) begins at (top + stride y, left + stride x) of the
/// picture with its border, and goes to (out_top + out_step y, out_left + out_step x) of the result.
struct PackedWeight::Windows {
  int64_t height, width, stride, top, left, out_step = 1, out_top = 0, out_left = 0;
};

void PackedWeight::convolve(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                            const at::Tensor& residual, const at::Tensor& out) const {
  const int64_t channels = x.pixel_stride(), wide = x.width + 2 * x.border, high = x.height + 2 * x.border;
  const int64_t stride = windows.stride, out_height = out.size(2), out_width = out.size(3);
  Tiles tiles;
  tiles.stride = stride * channels;
  for (int64_t dy = 0; dy < kernel_height_; ++dy)
    for (int64_t dx = 0; dx < kernel_width_; ++dx) tiles.taps.push_back((dy * wide + dx) * channels);
  for (int64_t item = 0; item < x.n_items; ++item) {
    const uint16_t* picture =
        bf16_numbers(x.numbers) + ((item * high + windows.top) * wide + windows.left) * channels;
    const auto row_of = [&](int64_t y, int64_t column) {
      return (item * out_height + windows.out_top + windows.out_step * y) * out_width + windows.out_left +
             windows.out_step * column;
    };
    if (windows.width >= cpu::kTileRows) {
      for (int64_t y = 0; y < windows.height; ++y)
        for (int64_t at = 0; at < windows.width; at += cpu::kTileRows)
          tiles.add(picture + (y * wide + at) * stride * channels,
                    [&](int64_t i) { return at + i < windows.width ? row_of(y, at + i) : -1; });
    } else {
      // Narrow pictures: tiles run on over the ends of rows, whose results are dropped.
      for (int64_t at = 0; at < windows.height * wide; at += cpu::kTileRows)
        tiles.add(picture + at * stride * channels, [&](int64_t i) {
          const int64_t y = (at + i) / wide, column = (at + i) % wide;
          return y < windows.height && column < windows.width ? row_of(y, column) : -1;
        });
    }
  }
  tiles.make_even();
  run(tiles, out_height * out_width, item_bias, residual, false, out);
}

at::Tensor PackedWeight::convolution(const at::Tensor& x, int64_t stride, Padding padding,
                                     const Extra& extra) const {
  const bool pads = padding.before != 0 || padding.behind != 0;
  if (kernel_height_ * kernel_width_ == 1 && stride == 1 && !pads && !extra.item_bias.defined()) {
    const auto residual =
        extra.residual.defined() ? channels_last(extra.residual).permute({0, 2, 3, 1}) : at::Tensor();
    return linear(channels_last(x.to(at::kBFloat16)).permute({0, 2, 3, 1}), residual, extra.as)
        .permute({0, 3, 1, 2});
  }
  return convolution(BorderedPicture::of(x, padding), stride, extra);
}

at::Tensor PackedWeight::convolution(const BorderedPicture& x, int64_t stride, const Extra& extra) const {
  T3D_CHECK(x.n_channels == n_in_ && order_ == Order::Plain && (stride == 1 || stride == 2), "a picture of ",
            x.n_channels, " channels under ", at::IntArrayRef(shape_));
  const Padding pad = x.padding;
  const int64_t wide = x.width + pad.before + pad.behind, high = x.height + pad.before + pad.behind;
  T3D_CHECK(wide >= kernel_width_ && high >= kernel_height_, "a picture of ", x.height, " x ", x.width,
            " under a kernel of ", kernel_height_, " x ", kernel_width_);
  const int64_t first = x.border - pad.before;
  const Windows windows{(high - kernel_height_) / stride + 1, (wide - kernel_width_) / stride + 1, stride,
                        first, first};
  const auto out = empty_picture(x.n_items, n_out_, windows.height, windows.width,
                                 packed_.options().dtype(result_type(extra.residual, extra.as)));
  const auto residual = extra.residual.defined() ? channels_last(extra.residual) : at::Tensor();
  T3D_CHECK(!residual.defined() || residual.sizes() == out.sizes(), "residual ", residual.sizes());
  const auto item_bias =
      extra.item_bias.defined() ? extra.item_bias.to(at::kFloat).contiguous() : at::Tensor();
  T3D_CHECK(!item_bias.defined() || item_bias.numel() == x.n_items * n_out_, "item_bias ",
            item_bias.defined() ? item_bias.sizes() : at::IntArrayRef());
  convolve(x, windows, item_bias, residual, out);
  return out;
}

at::Tensor PackedWeight::linear_adjoint(const at::Tensor& dy, at::ScalarType as) const {
  return transposed(1).front()->linear(dy.to(at::kBFloat16), {}, as);
}

at::Tensor PackedWeight::convolution_adjoint(const at::Tensor& dy, int64_t stride, Padding padding,
                                             int64_t height, int64_t width, at::ScalarType as) const {
  const int64_t k = kernel_height_;
  T3D_CHECK(shape_.size() == 4 && k == kernel_width_ && stride <= std::min<int64_t>(2, k), "stride ", stride,
            " of ", at::IntArrayRef(shape_));
  if (stride == 1)
    return transposed(1).front()->convolution(dy, 1, {k - 1 - padding.before, k - 1 - padding.behind},
                                              {{}, {}, as});
  // dx_i = sum over j of weight_(p + 2j)^T dy_(m - j), where i + padding = 2m + p.
  const auto picture = BorderedPicture::of(dy, k / 2);
  const auto out = empty_picture(dy.size(0), n_in_, height, width, packed_.options().dtype(as));
  for (int64_t phase = 0; phase < 4; ++phase) {
    const PackedWeight& weight = *transposed(2)[phase];
    const int64_t p = phase / 2, q = phase % 2, m = (padding.before - p + 1) / 2,
                  n = (padding.before - q + 1) / 2, out_top = 2 * m + p - padding.before,
                  out_left = 2 * n + q - padding.before;
    if (out_top >= height || out_left >= width) continue;
    weight.convolve(picture,
                    {(height - out_top + 1) / 2, (width - out_left + 1) / 2, 1,
                     m - weight.kernel_height_ + 1 + picture.border,
                     n - weight.kernel_width_ + 1 + picture.border, 2, out_top, out_left},
                    {}, {}, out);
  }
  return out;
}

BorderedPicture bordered_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                    int64_t n_groups, double eps, bool with_silu, int64_t border,
                                    at::Tensor* statistics) {
  T3D_CHECK(x.dim() == 4 && x.size(1) % n_groups == 0, "x ", x.sizes(), " in ", n_groups, " groups");
  auto out = BorderedPicture::empty(x.size(0), x.size(1), x.size(2), x.size(3), border);
  const auto from = channels_last(x);
  const auto factor = weight.to(at::kFloat).contiguous(), offset = bias.to(at::kFloat).contiguous();
  cpu::GroupNormCall call{};
  call.n_items = x.size(0);
  call.height = x.size(2);
  call.width = x.size(3);
  call.n_channels = x.size(1);
  call.n_groups = n_groups;
  call.eps = static_cast<float>(eps);
  call.with_silu = with_silu;
  call.x = numbers_of(from);
  call.weight = factor.data_ptr<float>();
  call.bias = offset.data_ptr<float>();
  call.border = border;
  call.out_channels = out.pixel_stride();
  call.out = bf16_numbers_to_write(out.numbers);
  if (statistics != nullptr) {
    *statistics = at::empty({x.size(0), n_groups, 2}, factor.options());
    call.statistics = statistics->data_ptr<float>();
  }
  cpu::group_norm(call);
  return out;
}

at::Tensor bf16_layer_norm(const at::Tensor& x_in, const at::Tensor& weight, const at::Tensor& bias,
                           double eps) {
  const auto x = x_in.contiguous();
  const auto factor = weight.to(at::kFloat).contiguous(), offset = bias.to(at::kFloat).contiguous();
  T3D_CHECK(factor.numel() == x.size(-1) && offset.numel() == x.size(-1), "x ", x.sizes());
  const auto out = at::empty_like(x, x.options().dtype(at::kBFloat16));
  cpu::layer_norm(numbers_of(x), x.numel() / x.size(-1), x.size(-1), factor.data_ptr<float>(),
                  offset.data_ptr<float>(), static_cast<float>(eps), bf16_numbers_to_write(out));
  return out;
}

}  // namespace t3d::ops
