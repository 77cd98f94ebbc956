#include "t3d/ops/packed_weight.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "t3d/core/error.h"
#include "t3d/ops/bf16_tensors.h"
#include "t3d/ops/float_winograd_kernels.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/norm_kernels.h"
#include "t3d/ops/product_kernels.h"

namespace t3d::ops {
namespace {

constexpr int64_t kStep = 32, kStepNumbers = kStep * kStep;

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

template <class Number>
const Number* numbers_in(const at::Tensor& x) {
  return static_cast<const Number*>(x.data_ptr());
}

}  // namespace

bool packs(const at::Tensor& weight) {
  return weight.is_cpu() && (weight.scalar_type() == at::kFloat ||
                             (weight.scalar_type() == at::kBFloat16 && matrix_unit() != MatrixUnit::None));
}

int64_t BorderedPicture::pixel_stride() const {
  if (numbers.scalar_type() == at::kFloat) {
    constexpr int64_t kLine = 16, kFewSets = 128;  // strides of 512 bytes use every eighth set of the cache
    return n_channels + (n_channels % kFewSets == 0 ? kLine : 0);
  }
  return round_up(n_channels, 32) + ((n_channels + 31) / 32 % 2 == 0 ? 32 : 0);
}

BorderedPicture BorderedPicture::empty(int64_t n_items, int64_t n_channels, int64_t height, int64_t width,
                                       int64_t border, at::ScalarType type) {
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
  p.numbers = at::empty({0}, at::TensorOptions().dtype(type));
  p.numbers.resize_({pixels * p.pixel_stride()});
  return p;
}

BorderedPicture BorderedPicture::of(const at::Tensor& x, Padding padding, at::ScalarType type) {
  const int64_t border = std::max(padding.before, padding.behind);
  auto p = empty(x.size(0), x.size(1), x.size(2), x.size(3), border, type);
  p.padding = padding;
  const auto from = channels_last(x);
  if (type == at::kFloat) {
    T3D_CHECK(x.scalar_type() == type, "a picture of type ", c10::toString(x.scalar_type()));
    cpu::add_border(numbers_in<float>(from), p.n_items, p.height, p.width, p.n_channels, border,
                    p.pixel_stride(), p.numbers.data_ptr<float>());
  } else {
    cpu::add_border(numbers_of(from), p.n_items, p.height, p.width, p.n_channels, border, p.pixel_stride(),
                    bf16_numbers_to_write(p.numbers));
  }
  return p;
}

PackedWeight::PackedWeight(const at::Tensor& weight, const at::Tensor& bias, Order order)
    : shape_(weight.sizes().vec()),
      order_(order),
      n_out_(weight.size(0)),
      n_in_(weight.size(1)),
      kernel_height_(weight.dim() == 4 ? weight.size(2) : 1),
      kernel_width_(weight.dim() == 4 ? weight.size(3) : 1),
      simd_(simd()),
      panels_(cpu::float_panels(simd_, n_out_, order == Order::Gated)) {
  T3D_CHECK(packs(weight) && (weight.dim() == 2 || weight.dim() == 4), "weight ", weight.sizes(),
            " cannot be packed");
  const int64_t n_taps = kernel_height_ * kernel_width_;
  T3D_CHECK(order == Order::Plain || (n_taps == 1 && n_out_ % 32 == 0), "gated weight ", weight.sizes());
  packed_ = at::empty({0}, weight.options());  // its type decides the order
  at::Tensor taps = weight.reshape({n_out_, n_in_, n_taps}).permute({2, 0, 1});
  if (order == Order::Gated) taps = taps.index_select(1, gated_order());
  packed_ = packed_taps(taps.contiguous());  // [k l,out,in]
  if (bias.defined())
    bias_ = packed_bias(order == Order::Gated ? bias.index_select(0, gated_order()) : bias);
}

/// Where row i of gated weights comes from: some values, then their gates, and so on.
at::Tensor PackedWeight::gated_order() const {
  const int64_t run = type() == at::kFloat ? panels_.vector : 16;
  const auto values = at::arange(n_out_ / 2, at::kLong).view({-1, 1, run});
  return at::cat({values, values + n_out_ / 2}, 1).reshape({-1});
}

at::Tensor PackedWeight::packed_taps(const at::Tensor& taps) const {
  const int64_t n_taps = taps.size(0);
  if (type() == at::kFloat) {
    const int64_t column_size = n_taps * n_in_;
    auto packed = at::zeros({panels_.first.back() * column_size}, taps.options());
    for (int64_t p = 0; p < panels_.size(); ++p) {
      const int64_t first = panels_.first[p], width = panels_.first[p + 1] - first,
                    used = std::min(width, n_out_ - first);
      packed.narrow(0, first * column_size, width * column_size)
          .view({n_taps, n_in_, width})
          .narrow(2, 0, used)
          .copy_(taps.narrow(1, first, used).transpose(1, 2));
    }
    return packed;
  }
  auto packed = at::empty(
      {round_up(n_out_, kStep) / kStep * n_taps * round_up(n_in_, kStep) / kStep * kStepNumbers},
      taps.options());
  for (int64_t tap = 0; tap < n_taps; ++tap)
    cpu::pack_weight(bf16_numbers(taps) + tap * n_out_ * n_in_, n_in_, n_out_, n_in_, tap, n_taps,
                     bf16_numbers_to_write(packed));
  return packed;
}

at::Tensor PackedWeight::unpacked_taps() const {
  const int64_t n_taps = kernel_height_ * kernel_width_;
  auto taps = at::empty({n_taps, n_out_, n_in_}, packed_.options());
  if (type() == at::kFloat) {
    const int64_t column_size = n_taps * n_in_;
    for (int64_t p = 0; p < panels_.size(); ++p) {
      const int64_t first = panels_.first[p], width = panels_.first[p + 1] - first,
                    used = std::min(width, n_out_ - first);
      taps.narrow(1, first, used)
          .copy_(packed_.narrow(0, first * column_size, width * column_size)
                     .view({n_taps, n_in_, width})
                     .narrow(2, 0, used)
                     .transpose(1, 2));
    }
    return taps;
  }
  for (int64_t tap = 0; tap < n_taps; ++tap)
    cpu::unpack_weight(bf16_numbers(packed_), n_out_, n_in_, tap, n_taps,
                       bf16_numbers_to_write(taps) + tap * n_out_ * n_in_, n_in_);
  return taps;
}

at::Tensor PackedWeight::packed_bias(const at::Tensor& bias) const {
  const auto all =
      at::zeros({type() == at::kFloat ? panels_.first.back() : round_up(n_out_, kStep)}, at::kFloat);
  all.narrow(0, 0, n_out_).copy_(bias);
  return all;
}

at::Tensor PackedWeight::weight() const {
  auto taps = unpacked_taps();
  if (order_ == Order::Gated) taps = taps.index_select(1, at::argsort(gated_order()));
  return taps.permute({1, 2, 0}).reshape(shape_).contiguous();
}

at::ScalarType PackedWeight::result_type(const at::Tensor& residual, at::ScalarType as) const {
  const auto result = residual.defined() ? residual.scalar_type() : as == kOwnType ? type() : as;
  T3D_CHECK(result == at::kFloat || (result == at::kBFloat16 && type() == result), "a result of type ",
            c10::toString(result), " of a weight of type ", c10::toString(type()));
  return result;
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
template <class Number>
struct PackedWeight::Tiles {
  static constexpr bool kIsSingle = std::is_same_v<Number, float>;
  static constexpr int64_t kRows = kIsSingle ? cpu::kFloatTileRows : cpu::kTileRows;
  std::vector<const Number*> first;
  std::vector<int32_t> out_rows;
  std::vector<int64_t> taps;
  int64_t stride = 0;

  /// kRows rows from `at` on; row_of(i) says where the result of row i goes, or -1.
  template <class RowOf>
  void add(const Number* at, const RowOf& row_of) {
    first.push_back(at);
    for (int64_t i = 0; i < kRows; ++i) out_rows.push_back(static_cast<int32_t>(row_of(i)));
  }
  /// The kernels for bfloat16 take tiles in pairs.
  void make_even() {
    if (!kIsSingle && first.size() % 2 != 0) add(first.back(), [](int64_t) { return -1; });
  }
};

/// What the calls of both kinds of kernels have in common.
template <class Call, class Number>
Call PackedWeight::call(const Tiles<Number>& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
                        bool is_gated) const {
  Call call{};
  call.n_tiles = static_cast<int64_t>(tiles.first.size());
  call.tiles = tiles.first.data();
  call.left_stride = tiles.stride;
  call.out_rows = tiles.out_rows.data();
  call.n_taps = static_cast<int64_t>(tiles.taps.size());
  call.taps = tiles.taps.data();
  call.n_columns = n_out_;
  call.packed = numbers_in<Number>(packed_);
  call.bias = bias_.defined() ? bias_.data_ptr<float>() : nullptr;
  call.item_bias = item_bias.defined() ? item_bias.data_ptr<float>() : nullptr;
  call.rows_per_item = rows_per_item;
  call.residual_stride = n_out_;
  call.is_gated = is_gated;
  call.out_stride = is_gated ? n_out_ / 2 : n_out_;
  return call;
}

void PackedWeight::run(const Tiles<uint16_t>& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
                       const at::Tensor& residual, bool is_gated, const at::Tensor& out) const {
  auto c = call<cpu::ProductCall>(tiles, rows_per_item, item_bias, is_gated);
  c.steps_per_tap = round_up(n_in_, kStep) / kStep;
  c.is_single = out.scalar_type() == at::kFloat;
  c.residual = residual.defined() ? residual.data_ptr() : nullptr;
  c.out = out.data_ptr();
  cpu::product(c);
}

void PackedWeight::run(const Tiles<float>& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
                       const at::Tensor& residual, bool is_gated, const at::Tensor& out) const {
  auto c = call<cpu::FloatProductCall>(tiles, rows_per_item, item_bias, is_gated);
  c.simd = simd_;
  c.tap_width = n_in_;
  c.panels = &panels_;
  c.residual = residual.defined() ? residual.data_ptr<float>() : nullptr;
  c.out = out.data_ptr<float>();
  cpu::float_product(c);
}

at::Tensor PackedWeight::linear(const at::Tensor& x, const at::Tensor& residual, at::ScalarType as) const {
  return type() == at::kFloat ? rows<float>(x, residual, false, as) : rows<uint16_t>(x, residual, false, as);
}

at::Tensor PackedWeight::gated(const at::Tensor& x) const {
  T3D_CHECK(order_ == Order::Gated, "the weight is not packed in pairs");
  return type() == at::kFloat ? rows<float>(x, {}, true, kOwnType) : rows<uint16_t>(x, {}, true, kOwnType);
}

template <class Number>
at::Tensor PackedWeight::rows(const at::Tensor& x_in, const at::Tensor& residual, bool is_gated,
                              at::ScalarType as) const {
  T3D_CHECK(x_in.scalar_type() == type() && x_in.size(-1) == n_in_ && kernel_height_ * kernel_width_ == 1,
            "x ", x_in.sizes(), " times ", at::IntArrayRef(shape_));
  T3D_CHECK(is_gated == (order_ == Order::Gated), "gated and plain weights are packed differently");
  constexpr int64_t kRows = Tiles<Number>::kRows;
  const int64_t wide = Tiles<Number>::kIsSingle ? n_in_ : round_up(n_in_, kStep),
                n_rows = x_in.numel() / n_in_;
  auto x = x_in.reshape({n_rows, n_in_});
  x = wide == n_in_ ? x.contiguous() : at::constant_pad_nd(x, {0, wide - n_in_});
  Tiles<Number> tiles;
  tiles.stride = wide;
  tiles.taps = {0};
  const int64_t whole = n_rows / kRows * kRows;
  for (int64_t row = 0; row < whole; row += kRows)
    tiles.add(numbers_in<Number>(x) + row * wide, [row](int64_t i) { return row + i; });
  at::Tensor rest;  // a last tile that is not full is read from a copy
  if (whole < n_rows) {
    rest = at::zeros({kRows, wide}, x.options());
    rest.narrow(0, 0, n_rows - whole).copy_(x.narrow(0, whole, n_rows - whole));
    tiles.add(numbers_in<Number>(rest), [&](int64_t i) { return whole + i < n_rows ? whole + i : -1; });
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

template <class Number>
void PackedWeight::convolve(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                            const at::Tensor& residual, const at::Tensor& out) const {
  const int64_t channels = x.pixel_stride(), wide = x.width + 2 * x.border, high = x.height + 2 * x.border;
  const int64_t stride = windows.stride, out_height = out.size(2), out_width = out.size(3);
  constexpr int64_t kRows = Tiles<Number>::kRows;
  Tiles<Number> tiles;
  tiles.stride = stride * channels;
  for (int64_t dy = 0; dy < kernel_height_; ++dy)
    for (int64_t dx = 0; dx < kernel_width_; ++dx) tiles.taps.push_back((dy * wide + dx) * channels);
  for (int64_t item = 0; item < x.n_items; ++item) {
    const Number* picture =
        numbers_in<Number>(x.numbers) + ((item * high + windows.top) * wide + windows.left) * channels;
    const auto row_of = [&](int64_t y, int64_t column) {
      return (item * out_height + windows.out_top + windows.out_step * y) * out_width + windows.out_left +
             windows.out_step * column;
    };
    if (windows.width >= kRows) {
      for (int64_t y = 0; y < windows.height; ++y)
        for (int64_t at = 0; at < windows.width; at += kRows)
          tiles.add(picture + (y * wide + at) * stride * channels,
                    [&](int64_t i) { return at + i < windows.width ? row_of(y, at + i) : -1; });
    } else {
      // Narrow pictures: tiles run on over the ends of rows, whose results are dropped.
      for (int64_t at = 0; at < windows.height * wide; at += kRows)
        tiles.add(picture + at * stride * channels, [&](int64_t i) {
          const int64_t y = (at + i) / wide, column = (at + i) % wide;
          return y < windows.height && column < windows.width ? row_of(y, column) : -1;
        });
    }
  }
  tiles.make_even();
  run(tiles, out_height * out_width, item_bias, residual, false, out);
}

/// Whole tiles, enough of them to be worth reading four times the weights, which must not get too large either.
bool PackedWeight::suits_winograd(const BorderedPicture& x, const Windows& windows) const {
  constexpr int64_t kTile = cpu::kWinogradTile, kLeastTiles = 64, kLeastIn = 16, kMostNumbers = 1 << 16;
  return type() == at::kFloat && kernel_height_ == 3 && kernel_width_ == 3 && windows.stride == 1 &&
         windows.out_step == 1 && windows.height % kTile == 0 && windows.width % kTile == 0 &&
         x.n_items * windows.height * windows.width >= kLeastTiles * kTile * kTile && n_in_ >= kLeastIn &&
         n_in_ * n_out_ <= kMostNumbers;
}

void PackedWeight::winograd(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                            const at::Tensor& residual, const at::Tensor& out) const {
  std::call_once(winograd_once_, [&] {
    const c10::NoGradGuard no_grad;
    const auto map = at::empty({6, 3}, at::kDouble);
    std::copy_n(&cpu::kWinogradMap[0][0], 18, map.data_ptr<double>());
    const auto mapped = at::matmul(at::matmul(map, weight().to(at::kDouble)), map.t());  // [out,in,6,6]
    winograd_ = packed_taps(
        mapped.reshape({n_out_, n_in_, cpu::kWinogradTaps}).permute({2, 0, 1}).to(at::kFloat).contiguous());
  });
  cpu::FloatWinogradCall call{};
  call.simd = simd_;
  call.pixel = x.pixel_stride();
  call.row = (x.width + 2 * x.border) * call.pixel;
  call.item = (x.height + 2 * x.border) * call.row;
  call.picture = x.numbers.data_ptr<float>() + windows.top * call.row + windows.left * call.pixel;
  call.n_items = x.n_items;
  call.height = windows.height;
  call.width = windows.width;
  call.n_in = n_in_;
  call.n_out = n_out_;
  call.panels = &panels_;
  call.packed = winograd_.data_ptr<float>();
  call.bias = bias_.defined() ? bias_.data_ptr<float>() : nullptr;
  call.item_bias = item_bias.defined() ? item_bias.data_ptr<float>() : nullptr;
  call.residual = residual.defined() ? residual.data_ptr<float>() : nullptr;
  call.out = out.data_ptr<float>();
  cpu::float_winograd(call);
}

void PackedWeight::convolve_any(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                                const at::Tensor& residual, const at::Tensor& out) const {
  T3D_CHECK(x.numbers.scalar_type() == type(), "a picture of another type than the weight's");
  if (suits_winograd(x, windows))
    winograd(x, windows, item_bias, residual, out);
  else if (type() == at::kFloat)
    convolve<float>(x, windows, item_bias, residual, out);
  else
    convolve<uint16_t>(x, windows, item_bias, residual, out);
}

at::Tensor PackedWeight::convolution(const at::Tensor& x, int64_t stride, Padding padding,
                                     const Extra& extra) const {
  const bool pads = padding.before != 0 || padding.behind != 0;
  if (kernel_height_ * kernel_width_ == 1 && stride == 1 && !pads && !extra.item_bias.defined()) {
    const auto residual =
        extra.residual.defined() ? channels_last(extra.residual).permute({0, 2, 3, 1}) : at::Tensor();
    return linear(channels_last(x.to(type())).permute({0, 2, 3, 1}), residual, extra.as)
        .permute({0, 3, 1, 2});
  }
  return convolution(BorderedPicture::of(x, padding, type()), stride, extra);
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
  convolve_any(x, windows, item_bias, residual, out);
  return out;
}

at::Tensor PackedWeight::linear_adjoint(const at::Tensor& dy, at::ScalarType as) const {
  return transposed(1).front()->linear(dy.to(type()), {}, as);
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
  const auto picture = BorderedPicture::of(dy, k / 2, type());
  const auto out = empty_picture(dy.size(0), n_in_, height, width, packed_.options().dtype(as));
  for (int64_t phase = 0; phase < 4; ++phase) {
    const PackedWeight& weight = *transposed(2)[phase];
    const int64_t p = phase / 2, q = phase % 2, m = (padding.before - p + 1) / 2,
                  n = (padding.before - q + 1) / 2, out_top = 2 * m + p - padding.before,
                  out_left = 2 * n + q - padding.before;
    if (out_top >= height || out_left >= width) continue;
    weight.convolve_any(picture,
                    {(height - out_top + 1) / 2, (width - out_left + 1) / 2, 1,
                     m - weight.kernel_height_ + 1 + picture.border,
                     n - weight.kernel_width_ + 1 + picture.border, 2, out_top, out_left},
                    {}, {}, out);
  }
  return out;
}

BorderedPicture bordered_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                    int64_t n_groups, double eps, bool with_silu, int64_t border,
                                    at::ScalarType as, at::Tensor* statistics) {
  T3D_CHECK(x.dim() == 4 && x.size(1) % n_groups == 0, "x ", x.sizes(), " in ", n_groups, " groups");
  T3D_CHECK(as == at::kBFloat16 || (as == at::kFloat && x.scalar_type() == as), "from ",
            c10::toString(x.scalar_type()), " to ", c10::toString(as));
  auto out = BorderedPicture::empty(x.size(0), x.size(1), x.size(2), x.size(3), border, as);
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
  call.out = out.numbers.data_ptr();
  if (statistics != nullptr) {
    *statistics = at::empty({x.size(0), n_groups, 2}, factor.options());
    call.statistics = statistics->data_ptr<float>();
  }
  if (as == at::kFloat)
    cpu::float_group_norm(call);
  else
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
