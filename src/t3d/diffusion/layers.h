#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "t3d/diffusion/weights.h"

namespace t3d::ops {
class PackedWeight;
}

/// The layers that every model of this module is made of. Each holds its parameters as plain tensors and is
/// called like a function. The input's type decides the arithmetic: parameters of another type are converted
/// to it on the way (half precision weights on a CPU that computes in single precision), except in the norms,
/// which always work in single precision and answer in the input's type.
///
/// Networks in bfloat16 multiply in it, and keep in single precision what they add up: see sum_type. Where
/// types of both kinds meet, a layer is told the one to answer in.
///
/// Frozen weights on the CPU, float or bfloat16 where the CPU is fast at it, can be packed
/// (ops/packed_weight.h): calls then use our own kernels, whose pictures have their channels last. The plain
/// weights are given back; gradients to inputs go through packed weights too, but for gated layers, which
/// unpack theirs.
namespace t3d::diffusion {

/// The type to compute in for weights of type `stored`: `stored` itself on CUDA; on the CPU single precision
/// for half, and for bfloat16 unless the processor multiplies it by itself (AVX-512).
at::ScalarType arithmetic_type(at::ScalarType stored, c10::Device device);

/// What a product that is not packed is given for x. On a CPU without a fast unit for them bfloat16 numbers
/// are multiplied in single precision, x and the weights as they were rounded: LibTorch's own operators would
/// round each result before anything is added to it, are slower there, and oneDNN lacks them without AVX-512.
at::Tensor factor_of(const at::Tensor& x);

/// The type of what residual connections add up, and of what time and cameras become, in a network that
/// multiplies in `arithmetic`: single precision for bfloat16, whose 8 bits would otherwise be rounded to
/// after every layer; `arithmetic` itself for the others.
at::ScalarType sum_type(at::ScalarType arithmetic);

/// The weights of layers that work in that type: what everything behind them is made from, and small.
Weights in_sum_type(const Weights& w);

/// Pictures in the memory layout that a network's convolutions are fastest in: channels last on CUDA, with
/// packed weights, and for bfloat16 on a CPU that multiplies it, where the layers keep it; as they come
/// elsewhere.
at::Tensor in_layout(const at::Tensor& x, at::ScalarType arithmetic, bool is_packed = false);
inline at::Tensor in_layout(const at::Tensor& x) {
  return in_layout(x, x.scalar_type(), false);
}

/// "The type of the input" as an argument.
constexpr at::ScalarType kSame = at::ScalarType::Undefined;

/// Whether layers pack such weights: float on the CPU, or bfloat16 on one that is fast at it.
bool packs(const at::Tensor& weight);

/// Weights that may be packed.
class Packable {
 public:
  /// Packs the frozen `weight` where that is possible; what the tensor then holds is NaN.
  void pack(at::Tensor& weight, const at::Tensor& bias, bool is_gated = false);
  /// For this input, or null.
  std::shared_ptr<const ops::PackedWeight> for_call(const at::Tensor& x) const;
  const std::shared_ptr<const ops::PackedWeight>& held() const { return packed_; }
  /// `weight` as it was.
  at::Tensor plain(const at::Tensor& weight) const;

 private:
  std::shared_ptr<const ops::PackedWeight> packed_;
};

/// y = x W^T + b on the last dimension.
struct Linear {
  Linear(const Weights& w, int64_t n_in, int64_t n_out, bool has_bias = true, Init init = Init::FanIn);
  /// The same sum stored as a 1x1 convolution, [out,in,1,1].
  static Linear pointwise(const Weights& w, int64_t n_in, int64_t n_out, Init init = Init::FanIn);
  /// residual: added to the result where defined, which then has its type; else it has the type `as`.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& residual = {},
                        at::ScalarType as = kSame) const;
  /// GEGLU: the first half of y times the gelu of the second.
  at::Tensor gated(const at::Tensor& x) const;
  /// is_gated: for `gated` alone.
  void pack(bool is_gated = false) { packable_.pack(weight, bias, is_gated); }

  at::Tensor weight;  // [out,in] or [out,in,1,1]
  at::Tensor bias;    // [out], undefined without bias

 private:
  Linear() = default;
  Packable packable_;
};

struct GroupNorm;

struct Conv2d {
  struct Shape {
    int64_t kernel = 3, stride = 1, padding = 1;
    int64_t more_behind = 0;  // padding below and on the right only
  };
  Conv2d(const Weights& w, int64_t n_in, int64_t n_out) : Conv2d(w, n_in, n_out, Shape{}) {}
  Conv2d(const Weights& w, int64_t n_in, int64_t n_out, Shape shape, bool has_bias = true,
         Init init = Init::FanIn);
  /// What is added to the result, where defined, and its type where no residual decides it.
  struct Extra {
    at::Tensor item_bias;  // [B,out], to every pixel of an item
    at::Tensor residual;   // [B,out,H',W']
    at::ScalarType as = kSame;
  };
  /// [B,in,H,W] -> [B,out,H',W']
  at::Tensor operator()(const at::Tensor& x, const Extra& extra) const;
  at::Tensor operator()(const at::Tensor& x) const { return (*this)(x, Extra{}); }
  /// Of x.to(arithmetic), in x's type. Unlike in two steps, packed weights hand back a gradient that is not
  /// rounded to that.
  at::Tensor of_rounded(const at::Tensor& x, at::ScalarType arithmetic, Extra extra) const;
  /// Of norm.with_silu(x, arithmetic), in x's type, and the same about the gradient.
  at::Tensor after(const GroupNorm& norm, const at::Tensor& x, at::ScalarType arithmetic, Extra extra) const;
  void pack() { packable_.pack(weight, bias); }
  bool is_packed() const { return packable_.held() != nullptr; }

  at::Tensor weight;  // [out,in,k,k]
  at::Tensor bias;    // [out], undefined without bias
  Shape shape;

 private:
  Packable packable_;
};

/// Wu and He 2018: zero mean, unit variance over each group of channels of one item.
struct GroupNorm {
  GroupNorm(const Weights& w, int64_t n_channels, int64_t n_groups, double eps);
  at::Tensor operator()(const at::Tensor& x, at::ScalarType as = kSame) const { return apply(x, false, as); }
  /// x sigmoid(x) of that.
  at::Tensor with_silu(const at::Tensor& x, at::ScalarType as = kSame) const { return apply(x, true, as); }

  at::Tensor weight, bias;  // [channels]
  int64_t n_groups;
  double eps;

 private:
  at::Tensor apply(const at::Tensor& x, bool with_silu, at::ScalarType as) const;
};

/// Over the last dimension.
struct LayerNorm {
  LayerNorm(const Weights& w, int64_t n_channels, double eps = 1e-5);
  at::Tensor operator()(const at::Tensor& x, at::ScalarType as = kSame) const;

  at::Tensor weight, bias;  // [channels]
  double eps;
};

struct Embedding {
  Embedding(const Weights& w, int64_t n_rows, int64_t n_columns);
  /// ids [...] int64 -> [...,columns]. The ids are not checked.
  at::Tensor operator()(const at::Tensor& ids) const;

  at::Tensor weight;  // [rows,columns]
};

}  // namespace t3d::diffusion
