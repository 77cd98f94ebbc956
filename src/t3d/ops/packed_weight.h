#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <vector>

namespace t3d::ops {

/// Rows and columns of zeros that a convolution sees above and left of a picture, and below and right of it.
struct Padding {
  Padding(int64_t both) : before(both), behind(both) {}
  Padding(int64_t b, int64_t e) : before(b), behind(e) {}
  int64_t before, behind;
};

/// A picture whose channels are last in memory, with zeros around it, so that a convolution needs no test for
/// its edges, and with as many channels as whole steps of 32 need.
struct BorderedPicture {
  at::Tensor numbers;  // [B,H+2b,W+2b,pixel_stride], zeros behind the channels, and some room at the end
  int64_t n_items = 0, n_channels = 0, height = 0, width = 0, border = 0;
  Padding padding = 0;  // as much of the border as convolutions see

  static BorderedPicture empty(int64_t n_items, int64_t n_channels, int64_t height, int64_t width,
                               int64_t border);
  /// x [B,C,H,W] bfloat16, or float, which is rounded on the way.
  static BorderedPicture of(const at::Tensor& x, Padding padding);
  /// From pixel to pixel: an odd number of cache lines, so that a run of pixels uses all sets of the cache.
  int64_t pixel_stride() const {
    return (n_channels + 31) / 32 * 32 + ((n_channels + 31) / 32 % 2 == 0 ? 32 : 0);
  }
};

/// The weights of a linear layer or a convolution in bfloat16, in the order that this CPU multiplies them
/// fastest in (see matrix_block.h), and the products with them. Gradients: packed_gradient.h. Needs a
/// matrix unit.
///
/// Inputs are bfloat16, sums are in single precision. Results have the type of the residual, bfloat16 or
/// float, or else the one that is asked for.
class PackedWeight {
 public:
  /// Columns that belong together, for `gated`: the first half of the rows are values, the second gates.
  enum class Order { Plain, Gated };

  ///   weight  [out,in] or [out,in,k,l] bfloat16 on the CPU
  ///   bias    [out], or undefined
  /// Gated weights must be [out,in] with `out` a multiple of 32.
  PackedWeight(const at::Tensor& weight, const at::Tensor& bias, Order order = Order::Plain);

  /// What was given, to the bit. Cost: one pass over it.
  at::Tensor weight() const;

  /// x W^T + b + residual on the last dimension: [...,in], [...,out] -> [...,out].
  at::Tensor linear(const at::Tensor& x, const at::Tensor& residual = {},
                    at::ScalarType as = at::kBFloat16) const;
  /// Shazeer 2020, arXiv:2002.05202, GEGLU: the first half of x W^T + b times the gelu of the second,
  /// [...,in] -> [...,out/2].
  at::Tensor gated(const at::Tensor& x) const;

  struct Extra {
    at::Tensor item_bias;  ///< [B,out], added to every pixel of an item
    at::Tensor residual;   ///< [B,out,H',W'], added last
    at::ScalarType as = at::kBFloat16;
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
  struct Tiles;
  struct Windows;
  at::Tensor rows(const at::Tensor& x, const at::Tensor& residual, bool is_gated, at::ScalarType as) const;
  void run(const Tiles& tiles, int64_t rows_per_item, const at::Tensor& item_bias, const at::Tensor& residual,
           bool is_gated, const at::Tensor& out) const;
  void convolve(const BorderedPicture& x, const Windows& windows, const at::Tensor& item_bias,
                const at::Tensor& residual, const at::Tensor& out) const;
  const std::vector<std::unique_ptr<const PackedWeight>>& transposed(int64_t stride) const;

  std::vector<int64_t> shape_;  // of the weight
  Order order_;
  int64_t n_out_, n_in_, kernel_height_, kernel_width_;
  at::Tensor packed_;  // bfloat16
  at::Tensor bias_;    // float, [out rounded up to 32], in the packed order; undefined without
  mutable std::once_flag transposes_once_[2];  // by stride - 1
  mutable std::vector<std::unique_ptr<const PackedWeight>> transposed_[2];
};

/// Whether PackedWeight can be had: bfloat16 on a CPU with a matrix unit.
bool packs(const at::Tensor& weight);

/// x * sigmoid(x), gelu and the like are LibTorch's; this is group normalisation of channels-last pictures,
/// in bfloat16 or float (see group_norm.h), sums in single precision, no gradients. The result has the given
/// border; statistics becomes what bf16_group_norm_gradient wants, where given.
BorderedPicture bordered_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                    int64_t n_groups, double eps, bool with_silu, int64_t border,
                                    at::Tensor* statistics = nullptr);

/// Layer normalisation over the last dimension of bfloat16 or float, to bfloat16; sums in single precision,
/// no gradients. Needs a matrix unit.
at::Tensor bf16_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace t3d::ops
