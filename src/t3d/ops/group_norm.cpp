#include "t3d/ops/group_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "t3d/core/error.h"
#include "t3d/ops/bf16_tensors.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/norm_kernels.h"

#ifdef T3D_HAS_CUDA
#include "t3d/ops/device.h"
#include "t3d/ops/group_norm_cuda.h"
#endif

namespace t3d::ops {
namespace {

bool is_picture_on_cpu(const at::Tensor& x) {
  return x.is_cpu() && x.dim() == 4 && x.numel() > 0 && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

/// Channels last on the CPU: to bfloat16, or from float to float.
template <at::ScalarType kType>
struct CpuGroupNorm : torch::autograd::Function<CpuGroupNorm<kType>> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x,
                            const at::Tensor& weight, const at::Tensor& bias, int64_t n_groups, double eps,
                            bool with_silu) {
    const at::Tensor factor = weight.to(at::kFloat).contiguous(),
                     offset = bias.to(at::kFloat).contiguous();  // [C]
    at::Tensor y = empty_picture(x.size(0), x.size(1), x.size(2), x.size(3), x.options().dtype(kType));
    at::Tensor statistics = at::empty({x.size(0), n_groups, 2}, factor.options());
    cpu::GroupNormCall call{};
    call.n_items = x.size(0);
    call.height = x.size(2);
    call.width = x.size(3);
    call.n_channels = call.out_channels = x.size(1);
    call.n_groups = n_groups;
    call.eps = static_cast<float>(eps);
    call.with_silu = with_silu;
    call.x = numbers_of(x);
    call.weight = factor.data_ptr<float>();
    call.bias = offset.data_ptr<float>();
    call.out = y.data_ptr();
    call.statistics = statistics.data_ptr<float>();
    if (kType == at::kFloat)
      cpu::float_group_norm(call);
    else
      cpu::group_norm(call);
    ctx->save_for_backward({x, weight, bias, statistics});
    ctx->saved_data["silu"] = with_silu;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &statistics = saved[3];
    const bool with_silu = ctx->saved_data["silu"].toBool();
    const auto g = kType == at::kFloat
                       ? float_group_norm_gradient(x, weight, bias, statistics, gradients[0], with_silu)
                       : bf16_group_norm_gradient(x, weight, bias, statistics, gradients[0], with_silu);
    return {g.x, g.weight, g.bias, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

using CpuAdjoint = void (*)(const cpu::GroupNormAdjointCall&);

GroupNormGradient gradient_on_cpu(CpuAdjoint adjoint, const at::Tensor& x, const at::Tensor& weight,
                                  const at::Tensor& bias, const at::Tensor& statistics,
                                  const at::Tensor& of_y, bool with_silu, bool in_place) {
  const at::Tensor factor = weight.to(at::kFloat).contiguous(), offset = bias.to(at::kFloat).contiguous();
  const at::Tensor dy = of_y.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor dx = in_place && dy.scalar_type() == x.scalar_type()
                            ? dy
                            : empty_picture(x.size(0), x.size(1), x.size(2), x.size(3), x.options());
  const at::Tensor sums = at::empty({x.size(0), 2, x.size(1)}, factor.options());
  cpu::GroupNormAdjointCall call{};
  call.n_items = x.size(0);
  call.n_pixels = x.size(2) * x.size(3);
  call.n_channels = x.size(1);
  call.n_groups = statistics.size(1);
  call.with_silu = with_silu;
  call.x = numbers_of(x);
  call.dy = numbers_of(dy);
  call.weight = factor.data_ptr<float>();
  call.bias = offset.data_ptr<float>();
  call.statistics = statistics.data_ptr<float>();
  call.dx = dx.data_ptr();
  call.sums = sums.data_ptr<float>();
  adjoint(call);
  const at::Tensor of_all = sums.sum(0);  // [2,C]
  return {dx, of_all.select(0, 1).to(weight.scalar_type()), of_all.select(0, 0).to(bias.scalar_type())};
}

#ifdef T3D_HAS_CUDA

constexpr int64_t kWide = 8, kMostChannels = 4096;

bool is_fusable(const at::Tensor& x, const at::Tensor& weight) {
  const auto type = x.scalar_type();
  return x.is_cuda() && x.dim() == 4 && x.numel() > 0 && x.size(1) % kWide == 0 &&
         x.size(1) <= kMostChannels && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         (type == at::kHalf || type == at::kBFloat16 || type == at::kFloat) && weight.scalar_type() == type;
}

cuda::Real real_of(const at::Tensor& x) {
  return x.scalar_type() == at::kHalf       ? cuda::Real::Half
         : x.scalar_type() == at::kBFloat16 ? cuda::Real::BFloat16
                                            : cuda::Real::Float;
}

struct FusedGroupNorm : torch::autograd::Function<FusedGroupNorm> {
  static cuda::GroupNormShape shape_of(const at::Tensor& x, int64_t n_groups, double eps, bool with_silu) {
    return {x.size(0),
            x.size(2) * x.size(3),
            static_cast<int>(x.size(1)),
            static_cast<int>(n_groups),
            static_cast<float>(eps),
            with_silu};
  }

  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x,
                            const at::Tensor& weight_in, const at::Tensor& bias_in, int64_t n_groups,
                            double eps, bool with_silu) {
    const at::Tensor weight = weight_in.contiguous(), bias = bias_in.contiguous();  // [C]
    const auto shape = shape_of(x, n_groups, eps, with_silu);
    const auto floats = x.options().dtype(at::kFloat);
    at::Tensor y = at::empty_like(x);  // channels last, as x
    at::Tensor statistics = at::empty({x.size(0), n_groups, 2}, floats);
    at::Tensor partial = at::empty({x.size(0), cuda::group_norm_chunks(shape), n_groups, 2}, floats);
    cuda::group_norm(shape, real_of(x), x.data_ptr(), weight.data_ptr(), bias.data_ptr(),
                     partial.data_ptr<float>(), statistics.data_ptr<float>(), y.data_ptr(), current_stream());
    ctx->save_for_backward({x, weight, bias, statistics});
    ctx->saved_data["groups"] = n_groups;
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["silu"] = with_silu;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &statistics = saved[3];
    const auto shape = shape_of(x, ctx->saved_data["groups"].toInt(), ctx->saved_data["eps"].toDouble(),
                                ctx->saved_data["silu"].toBool());
    const at::Tensor dy = gradients[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor dx = at::empty_like(x);
    at::Tensor partial =
        at::empty({x.size(0) * cuda::group_norm_chunks(shape), x.size(1), 2}, statistics.options());
    cuda::group_norm_adjoint(shape, real_of(x), x.data_ptr(), weight.data_ptr(), bias.data_ptr(),
                             statistics.data_ptr<float>(), dy.data_ptr(), partial.data_ptr<float>(),
                             dx.data_ptr(), current_stream());
    const at::Tensor sums = partial.sum(0).to(weight.scalar_type());  // [C,2]
    return {dx, sums.select(1, 1), sums.select(1, 0), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

#endif

}  // namespace

at::Tensor group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t n_groups,
                      double eps, bool with_silu) {
  T3D_CHECK(x.dim() >= 2 && n_groups > 0 && x.size(1) % n_groups == 0, "x ", x.sizes(), " in ", n_groups,
            " groups");
  if (x.scalar_type() == at::kBFloat16 && bf16_group_norm_runs(x))
    return CpuGroupNorm<at::kBFloat16>::apply(x, weight, bias, n_groups, eps, with_silu);
  if (float_group_norm_runs(x))
    return CpuGroupNorm<at::kFloat>::apply(x, weight, bias, n_groups, eps, with_silu);
#ifdef T3D_HAS_CUDA
  if (is_fusable(x, weight)) return FusedGroupNorm::apply(x, weight, bias, n_groups, eps, with_silu);
#endif
  const at::Tensor z = at::group_norm(x, n_groups, weight, bias, eps);
  return with_silu ? at::silu(z) : z;
}

bool bf16_group_norm_runs(const at::Tensor& x) {
  return matrix_unit() != MatrixUnit::None && is_picture_on_cpu(x) &&
         (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat);
}

bool float_group_norm_runs(const at::Tensor& x) {
  return is_picture_on_cpu(x) && x.scalar_type() == at::kFloat;
}

at::Tensor bf16_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           int64_t n_groups, double eps, bool with_silu) {
  T3D_CHECK(bf16_group_norm_runs(x) && n_groups > 0 && x.size(1) % n_groups == 0, "x ", x.sizes(), " in ",
            n_groups, " groups");
  return CpuGroupNorm<at::kBFloat16>::apply(x, weight, bias, n_groups, eps, with_silu);
}

GroupNormGradient bf16_group_norm_gradient(const at::Tensor& x, const at::Tensor& weight,
                                           const at::Tensor& bias, const at::Tensor& statistics,
                                           const at::Tensor& of_y, bool with_silu, bool in_place) {
  return gradient_on_cpu(cpu::group_norm_adjoint, x, weight, bias, statistics, of_y, with_silu, in_place);
}

GroupNormGradient float_group_norm_gradient(const at::Tensor& x, const at::Tensor& weight,
                                            const at::Tensor& bias, const at::Tensor& statistics,
                                            const at::Tensor& of_y, bool with_silu, bool in_place) {
  T3D_CHECK(x.scalar_type() == at::kFloat && of_y.scalar_type() == at::kFloat, "x and its gradient of types ",
            c10::toString(x.scalar_type()), " and ", c10::toString(of_y.scalar_type()));
  return gradient_on_cpu(cpu::float_group_norm_adjoint, x, weight, bias, statistics, of_y, with_silu, in_place);
}

at::Tensor group_norm_reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                int64_t n_groups, double eps, bool with_silu) {
  const auto groups = x.reshape({x.size(0), n_groups, -1});  // [B,G,C/G H W]
  const auto centred = groups - groups.mean(2, true);
  const auto normal = (centred / (centred.square().mean(2, true) + eps).sqrt()).reshape(x.sizes());
  std::vector<int64_t> along(static_cast<size_t>(x.dim()), 1);
  along[1] = x.size(1);
  const auto z = normal * weight.view(along) + bias.view(along);
  return with_silu ? z * at::sigmoid(z) : z;
}

}  // namespace t3d::ops
