#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "t3d/ops/adam.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/frequency.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/importance.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/ray_march.h"
#include "t3d/ops/spherical_harmonics.h"

namespace t3d::ops {
namespace {

#define T3D_NEED_CUDA() \
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device"

using Inputs = std::vector<at::Tensor>;
using Op = std::function<at::Tensor(const Inputs&)>;

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm().clamp_min(1e-12)).item<double>();
}

Inputs leaves(const Inputs& inputs, c10::Device device) {
  Inputs out;
  for (const at::Tensor& t : inputs)
    out.push_back(t.to(device).detach().requires_grad_(t.is_floating_point() && t.requires_grad()));
  return out;
}

Inputs learned(const Inputs& inputs) {
  Inputs out;
  for (const at::Tensor& t : inputs)
    if (t.requires_grad()) out.push_back(t);
  return out;
}

/// Output, first derivatives, and derivatives of the squared first derivative by `second_by`'s input.
Inputs results(const Op& op, const Inputs& inputs, int second_by) {
  const at::Tensor y = op(inputs);
  const at::Tensor weights = at::sin(at::arange(y.numel(), y.options())).reshape(y.sizes());
  const bool again = second_by >= 0;
  auto first = torch::autograd::grad({(y * weights).sum()}, learned(inputs), {}, true, again, true);
  Inputs all{y.detach()};
  for (const at::Tensor& g : first) all.push_back(g.detach());
  if (again) {
    const Inputs by = learned(inputs);
    const auto second = torch::autograd::grad({first[static_cast<size_t>(second_by)].square().sum()}, by, {},
                                              false, false, true);
    // What does not depend on an input may come back as nothing or as zeros.
    for (size_t i = 0; i < by.size(); ++i)
      all.push_back(second[i].defined() ? second[i] : at::zeros_like(by[i]));
  }
  return all;
}

void expect_same(const Op& op, const Inputs& inputs, int second_by = -1, double tolerance = 1e-5) {
  const Inputs cpu = results(op, leaves(inputs, c10::kCPU), second_by);
  const Inputs cuda = results(op, leaves(inputs, c10::kCUDA), second_by);
  ASSERT_EQ(cpu.size(), cuda.size());
  for (size_t i = 0; i < cpu.size(); ++i) {
    EXPECT_TRUE(cuda[i].is_cuda());
    EXPECT_LT(relative_error(cuda[i].cpu(), cpu[i]), tolerance) << "result " << i;
  }
}

at::Tensor learn(at::Tensor t) {
  return t.requires_grad_(true);
}

TEST(CudaParity, HashGridWithFirstAndSecondDerivatives) {
  T3D_NEED_CUDA();
  for (const int n_dims : {2, 3, 4})
    for (const Interpolation interpolation : {Interpolation::Linear, Interpolation::Smoothstep}) {
      HashGridConfig config;
      config.n_dims = n_dims;
      config.n_levels = 6;
      config.log2_table = 10;
      config.interpolation = interpolation;
      config.n_features = n_dims == 4 ? 1 : n_dims == 3 ? 2 : 8;
      const HashGridLayout layout = HashGridLayout::make(config);
      for (const at::ScalarType type : {at::kFloat, at::kDouble})
        expect_same([&](const Inputs& in) { return hash_grid_encode(in[0], in[1], layout, 5); },
                    {learn(at::rand({1000, n_dims}, type)), learn(at::randn({layout.n_params()}, type))}, 0,
                    type == at::kFloat ? 2e-4 : 1e-9);
    }
}

TEST(CudaParity, NetworkWithSecondDerivatives) {
  T3D_NEED_CUDA();
  for (const int width : {16, 32, 64, 128}) {
    MlpConfig config;
    config.n_neurons = width;
    config.n_hidden_layers = 2;
    expect_same([&](const Inputs& in) { return mlp(in[0], in[1], config); },
                {learn(at::randn({500, config.n_in})), learn(mlp_init_uniform(config, 1))}, 0, 1e-3);
  }
}

TEST(CudaParity, DirectionalAndFrequencyEncodings) {
  T3D_NEED_CUDA();
  const at::Tensor d = at::randn({300, 3});
  const at::Tensor unit = d / d.norm(2, at::IntArrayRef{1}, true);
  expect_same([](const Inputs& in) { return spherical_harmonics(in[0], 5); }, {learn(unit.clone())}, 0);
  expect_same([](const Inputs& in) { return frequency_encode(in[0], 6); }, {learn(unit.clone())}, 0, 1e-4);
}

/// 40 rays of 0 to 60 samples.
at::Tensor ray_starts() {
  at::Tensor counts = at::randint(0, 60, {40}, at::kInt);
  counts[3] = 0;
  return at::cat({at::zeros({1}, at::kInt), counts.cumsum(0).to(at::kInt)});
}

TEST(CudaParity, CompositingAndItsGradients) {
  T3D_NEED_CUDA();
  const at::Tensor start = ray_starts();
  const int64_t n = start[-1].item<int32_t>();
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const Inputs inputs = {learn(at::rand({n}, type) * 20), learn(at::rand({n, 3}, type)),
                           at::rand({n}, type), at::rand({n}, type) * 0.1, start};
    const auto run = [](const Inputs& in) {
      const Composited c = composite(in[0], in[1], in[2], in[3], in[4]);
      return at::cat({c.colour, c.opacity, c.depth}, 1);
    };
    expect_same(run, inputs, -1, type == at::kFloat ? 1e-5 : 1e-12);
  }
}

TEST(CudaParity, DistortionLossAndVariance) {
  T3D_NEED_CUDA();
  const at::Tensor start = ray_starts();
  const int64_t n = start[-1].item<int32_t>();
  const at::Tensor t = std::get<0>(at::rand({n}).sort());
  const Inputs inputs = {learn(at::rand({n})), t, at::rand({n}) * 0.1, start};
  expect_same([](const Inputs& in) { return distortion_loss(in[0], in[1], in[2], in[3]); }, inputs);
  expect_same(
      [](const Inputs& in) {
        return z_variance(in[0], in[1], accumulate_along_rays(in[0], {}, in[3]), in[3]);
      },
      inputs, -1, 1e-4);
}

TEST(CudaParity, RaysAndTheirIndices) {
  T3D_NEED_CUDA();
  const at::Tensor start = ray_starts();
  const at::Tensor indices = ray_indices_from_start(start);
  EXPECT_TRUE(ray_indices_from_start(start.cuda()).cpu().equal(indices));
  EXPECT_TRUE(ray_start_from_indices(indices.cuda(), 40).cpu().equal(start));
}

TEST(CudaParity, SamplersReturnToTheRaysDevice) {
  T3D_NEED_CUDA();
  Box3f box;
  box.min = Vec3f::Constant(-1), box.max = Vec3f::Constant(1);
  OccupancyGrid grid = OccupancyGrid::create(box, 8);
  grid.fill(true);
  LatticeConfig config;
  config.step = 0.1f;
  // Nothing within rounding of a wall: the two ways to walk may differ there.
  const at::Tensor o = at::linspace(0.01, 0.47, 30).reshape({10, 3}),
                   d = at::tensor({0.f, 0.f, 1.f}).expand({10, 3});
  const RaySamples cpu = sample_lattice(o, d, grid, config, {}),
                   cuda = sample_lattice(o.cuda(), d.cuda(), grid, config, {});
  EXPECT_TRUE(cuda.t.is_cuda());
  ASSERT_EQ(cuda.n_samples(), cpu.n_samples());
  EXPECT_TRUE(at::allclose(cuda.t.cpu(), cpu.t, 1e-5, 1e-6));
  const at::Tensor edges = std::get<0>(at::rand({4, 9}).sort(1)), cdf = std::get<0>(at::rand({4, 9}).sort(1));
  EXPECT_TRUE(importance_resample(edges.cuda(), cdf.cuda(), 5, {})
                  .samples.cpu()
                  .equal(importance_resample(edges, cdf, 5, {}).samples));
}

TEST(CudaParity, AdamOnOddSizes) {
  T3D_NEED_CUDA();
  for (const bool skip : {false, true})
    for (const int64_t n : {1, 2, 1001, 700001}) {
      AdamConfig config;
      config.l2 = skip ? 0 : 1e-2;
      config.weight_decay = 0.1;
      config.skip_zero_gradients = skip;
      const at::Tensor start = at::randn({n});
      const at::Tensor gradients = at::randn({3, n}) * at::randn({3, n}).gt(0);  // half of them 0
      const auto stepped = [&](c10::Device device) {
        const at::Tensor p = start.to(device, at::kFloat, false, true);
        const at::Tensor m = at::zeros_like(p), v = at::zeros_like(p);
        for (int64_t step = 1; step <= 3; ++step) {
          const at::Tensor g = gradients[step - 1].to(device, at::kFloat, false, true);
          adam_step(p, g, m, v, config, 1e-2, step, 0.5, step == 3);
          EXPECT_EQ(g.any().item<bool>(), step != 3 && gradients[step - 1].any().item<bool>());
        }
        return at::stack({p, m, v}).cpu();
      };
      EXPECT_LT(relative_error(stepped(c10::kCUDA), stepped(c10::kCPU)), 1e-6);
    }
}

}  // namespace
}  // namespace t3d::ops
