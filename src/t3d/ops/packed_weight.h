#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <vector>

namespace t3d::ops {

/// A picture whose channels are last in memory, with zeros around it, so that a convolution needs no test for
/// its edges, and with as many channels as whole steps of 32 need.
struct BorderedPicture {
  at::Tensor numbers;  // [B,H+2b,W+2b,pixel_stride], zeros behind the channels, and some room at the end
  int64_t n_items = 0, n_channels = 0, height = 0, width = 0, border = 0;

  static BorderedPicture empty(int64_t n_items, int64_t n_channels, int64_t height, int64_t width,
                               int64_t border);
  /// x [B,C,H,W] bfloat16
  static BorderedPicture of(const at::Tensor& x, int64_t border);
  /// From pixel to pixel: an odd number of cache lines, so that a run of pixels uses all sets of the cache.
  int64_t pixel_stride() const {
    return (n_channels + 31) / 32 * 32 + ((n_channels + 31) / 32 % 2 == 0 ? 32 : 0);
  }
};

/// The weights of a linear layer or a convolution in bfloat16, in the order that this CPU multiplies them
/// fastest in (see matrix_block.h), and the products with them. No gradients: see packed_gradient.h. Needs a
/// matrix unit.
///
/// Inputs are bfloat16, sums are in single precision. Results have the type of the residual, bfloat16 or
/// float, or else the one that is asked for.
class PackedWeight {
 public:
  /// Columns that belong together, for `gated`: the first half of the rows are values, the second gates.
  enum class Order { Plain, Gated };

  ///   weight  [out,in] or [out,in,k,k] bfloat16 on the CPU
  ///   bias    [out], or undefined
  /// Gated weights must be [out,in] with `out` a multiple of 32.
  PackedWeight(const at::Tensor& weight, const at::Tensor& bias, Order order = Order::Plain);

  /// What was given, to the bit. Cost: one pass over it.
  at::Tensor weight() const;
  int64_t kernel() const { return kernel_; }
  /// The weights of the adjoint of `linear`, or of a `convolution` of stride 1: [in,out], or [in,out,k,k]
  /// with the kernel turned round. Made by the first call and kept: twice the memory from then on.
  const PackedWeight& transposed() const;

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
  at::Tensor convolution(const at::Tensor& x, int64_t stride, int64_t padding, const Extra& extra) const;
  at::Tensor convolution(const BorderedPicture& x, int64_t stride, const Extra& extra) const;

 private:
  struct Tiles;
  at::Tensor rows(const at::Tensor& x, const at::Tensor& residual, bool is_gated, at::ScalarType as) const;
  void run(const Tiles& tiles, int64_t rows_per_item, const at::Tensor& item_bias, const at::Tensor& residual,
           bool is_gated, const at::Tensor& out) const;

  std::vector<int64_t> shape_;  // of the weight
  Order order_;
  int64_t n_out_, n_in_, kernel_;
  at::Tensor packed_;  // bfloat16
  at::Tensor bias_;    // float, [out rounded up to 32], in the packed order; undefined without
  mutable std::once_flag transposes_once_;
  mutable std::unique_ptr<const PackedWeight> transposed_;
};

/// Whether PackedWeight can be had: bfloat16 on a CPU with a matrix unit.
bool packs(const at::Tensor& weight);

/// x * sigmoid(x), gelu and the like are LibTorch's; this is group normalisation of channels-last pictures,
/// in bfloat16 or float (see group_norm.h), sums in single precision, no gradients. The result has the given
/// border.
BorderedPicture bordered_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                    int64_t n_groups, double eps, bool with_silu, int64_t border);

/// Layer normalisation over the last dimension of bfloat16 or float, to bfloat16; sums in single precision,
/// no gradients. Needs a matrix unit.
at::Tensor bf16_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace t3d::ops
