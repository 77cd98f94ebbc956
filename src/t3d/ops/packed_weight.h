#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <vector>

#include "t3d/ops/float_product_kernels.h"

namespace t3d::ops {

/// Rows and columns of zeros that a convolution sees above and left of a picture, and below and right of it.
struct Padding {
  Padding(int64_t both) : before(both), behind(both) {}
  Padding(int64_t b, int64_t e) : before(b), behind(e) {}
  int64_t before, behind;
};

/// A picture whose channels are last in memory, with zeros around it, so that a convolution needs no test for
/// its edges; in bfloat16 with as many channels as whole steps of 32 need. bfloat16 or float.
struct BorderedPicture {
  at::Tensor numbers;  // [B,H+2b,W+2b,pixel_stride], zeros behind the channels, and some room at the end
  int64_t n_items = 0, n_channels = 0, height = 0, width = 0, border = 0;
  Padding padding = 0;  // as much of the border as convolutions see

  static BorderedPicture empty(int64_t n_items, int64_t n_channels, int64_t height, int64_t width,
                               int64_t border, at::ScalarType type);
  /// x [B,C,H,W] bfloat16, or float, which is rounded on the way to a picture in bfloat16.
  static BorderedPicture of(const at::Tensor& x, Padding padding, at::ScalarType type);
  /// From pixel to pixel: such that a run of pixels uses all sets of the cache. In bfloat16 an odd number of
  /// cache lines.
  int64_t pixel_stride() const;
};

/// The weights of a linear layer or a convolution, in the order that this CPU multiplies them fastest in, and
/// the products with them. Gradients: packed_gradient.h.
///
/// In bfloat16 (see matrix_block.h; needs a matrix unit) inputs are bfloat16, sums are in single precision and
/// results have the type of the residual, bfloat16 or float, or else the one that is asked for. In float (see
/// float_product_kernels.h; any CPU) everything is in single precision, and 3x3 kernels of not too many channels
/// take a quarter of the multiplications (float_winograd_kernels.h), with an error of 1e-6 to 4e-6 of the result's
/// norm, where sums of plain products have 1e-7 to 1e-6. Their weights are kept in a second form from the first
/// such call on, four times as large.
class PackedWeight {
 public:
  /// Columns that belong together, for `gated`: the first half of the rows are values, the second gates.
  enum class Order { Plain, Gated };
  /// As the type of a result: the weight's.
  static constexpr at::ScalarType kOwnType = at::ScalarType::Undefined;

  ///   weight  [out,in] or [out,in,k,l] bfloat16 or float on the CPU
  ///   bias    [out], or undefined
  /// Gated weights must be [out,in] with `out` a multiple of 32.
  PackedWeight(const at::Tensor& weight, const at::Tensor& bias, Order order = Order::Plain);

  /// What was given, to the bit. Cost: one pass over it.
  at::Tensor weight() const;
  at::ScalarType type() const { return packed_.scalar_type(); }

  /// x W^T + b + residual on the last dimension: [...,in], [...,out] -> [...,out].
  at::Tensor linear(const at::Tensor& x, const at::Tensor& residual = {},
                    at::ScalarType as = kOwnType) const;
  /// Shazeer 2020, arXiv:2002.05202, GEGLU: the first half of x W^T + b times the gelu of the second,
  /// [...,in] -> [...,out/2].
  at::Tensor gated(const at::Tensor& x) const;

  struct Extra {
    at::Tensor item_bias;  ///< [B,out], added to every pixel of an item
    at::Tensor residual;   ///< [B,out,H',W'], added last
    at::ScalarType as = kOwnType;
  };
  /// [B,in,H,W] -> [B,out,H',W'], channels last.
  at::Tensor convolution(const at::Tensor& x, int64_t stride, Padding padding, const Extra& extra) const;
  at::Tensor convolution(const BorderedPicture& x, int64_t stride, const Extra& extra) const;

  /// The adjoints of linear and convolution: the gradient dy with respect to a result, bfloat16 or float, to
  /// that with respect to x, of the type `as`, as products of the same kind. The weights for them are packed
  /// by the first call and kept: twice the memory from then on.
  at::Tensor linear_adjoint(const at::Tensor& dy, at::ScalarType as) const;
  /// dy [B,out,H',W'] -> [B,in,height,width], channels last; stride <= kernel.
  at::Tensor convolution_adjoint(const at::Tensor& dy, int64_t stride, Padding padding, int64_t height,
                                 int64_t width, at::ScalarType as) const;

 private:
  template <class Number>
  struct Tiles;
  struct Windows;
  at::Tensor packed_taps(const at::Tensor& taps) const;
  at::Tensor unpacked_taps() const;
  at::Tensor packed_bias(const at::Tensor& bias) const;
  at::Tensor gated_order() const;
  at::ScalarType result_type(const at::Tensor& residual, at::ScalarType as) const;
  template <class Number>
  at::Tensor rows(const at::Tensor& x, const at::Tensor& residual, bool is_gated, at::ScalarType as) const;
  template <class Call, class Number>
  Call call(const Tiles<Number>& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
            bool is_gated) const;
  void run(const Tiles<uint16_t>& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
           const at::Tensor& residual, bool is_gated, const at::Tensor& out) const;
  void run(const Tiles<float>& tiles, int64_t rows_per_item, const at::Tensor& item_bias,
           const at::Tensor& residual, bool is_gated, const at::Tensor& out) const;
  template <class Number>
  void convolve(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                const at::Tensor& residual, const at::Tensor& out) const;
  void convolve_any(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                    const at::Tensor& residual, const at::Tensor& out) const;
  bool suits_winograd(const BorderedPicture& x, const Windows& windows) const;
  void winograd(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                const at::Tensor& residual, const at::Tensor& out) const;
  const std::vector<std::unique_ptr<const PackedWeight>>& transposed(int64_t stride) const;

  std::vector<int64_t> shape_;  // of the weight
  Order order_;
  int64_t n_out_, n_in_, kernel_height_, kernel_width_;
  Simd simd_;               // that a weight in float is packed for
  cpu::FloatPanels panels_;  // of one in float
  at::Tensor packed_;
  at::Tensor bias_;  // float, [out rounded up], in the packed order; undefined without
  mutable std::once_flag winograd_once_;
  mutable at::Tensor winograd_;                // packed as 36 taps
  mutable std::once_flag transposes_once_[2];  // by stride - 1
  mutable std::vector<std::unique_ptr<const PackedWeight>> transposed_[2];
};

/// Whether PackedWeight can be had: float on the CPU, or bfloat16 on one with a matrix unit.
bool packs(const at::Tensor& weight);

/// x * sigmoid(x), gelu and the like are LibTorch's; this is group normalisation of channels-last pictures,
/// bfloat16 or float, to bfloat16, or float to float (see group_norm.h), sums in single precision, no
/// gradients. The result has the given border; statistics becomes what the gradients of group_norm.h want,
/// where given.
BorderedPicture bordered_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                    int64_t n_groups, double eps, bool with_silu, int64_t border,
                                    at::ScalarType as, at::Tensor* statistics = nullptr);

/// Layer normalisation over the last dimension of bfloat16 or float, to bfloat16; sums in single precision,
/// no gradients. Needs a matrix unit.
at::Tensor bf16_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace t3d::ops
