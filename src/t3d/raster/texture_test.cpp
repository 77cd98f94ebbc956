#include "t3d/raster/texture.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/core/error.h"
#include "t3d/raster/cube_map.h"
#include "t3d/raster/texture_reference.h"
#include "tests/support/golden_cases.h"
#include "tests/support/message_of.h"

namespace t3d::raster {
namespace {

using testing::max_relative_error;

constexpr TextureFilter kFilters[] = {TextureFilter::Nearest, TextureFilter::Linear,
                                      TextureFilter::LinearMipmapNearest, TextureFilter::LinearMipmapLinear};
constexpr TextureBoundary kBoundaries[] = {TextureBoundary::Wrap, TextureBoundary::Clamp,
                                           TextureBoundary::Zero, TextureBoundary::Cube};

/// A texture of two images, places in it and around it, and footprints between a part of a texel and all of
/// it.
struct Case {
  at::Tensor tex, uv, uv_da, bias, weights;
};

Case random_case(TextureBoundary boundary, int64_t n_textures = 2, at::ScalarType type = at::kDouble) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const bool is_cube = boundary == TextureBoundary::Cube;
  Case c;
  c.tex = is_cube ? at::randn({n_textures, 6, 8, 8, 3}, options) : at::randn({n_textures, 8, 16, 3}, options);
  c.uv = is_cube ? at::randn({2, 5, 6, 3}, options) : at::rand({2, 5, 6, 2}, options) * 3 - 1;
  c.uv_da = at::randn({2, 5, 6, is_cube ? 6 : 4}, options) * (at::rand({2, 5, 6, 1}, options) * 6 - 6).exp();
  c.bias = at::randn({2, 5, 6}, options) / 2;
  c.weights = at::randn({2, 5, 6, 3}, options);
  for (at::Tensor* t : {&c.tex, &c.uv, &c.uv_da, &c.bias, &c.weights}) *t = t->to(type);
  for (at::Tensor* t : {&c.tex, &c.uv, &c.uv_da, &c.bias}) t->set_requires_grad(true);
  return c;
}

/// d sum(image * weights) by texture, places, footprints and bias; zeros where the graph has none.
std::vector<at::Tensor> gradients_of(const Case& c, const at::Tensor& image) {
  const std::vector<at::Tensor> inputs = {c.tex, c.uv, c.uv_da, c.bias};
  auto out = torch::autograd::grad({(image * c.weights).sum()}, inputs, {}, true, false, true);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!out[i].defined()) out[i] = at::zeros_like(inputs[i]);
  return out;
}

TEST(Texture, MatchesTheReferenceInEveryModeWithAllGradients) {
  for (const TextureBoundary boundary : kBoundaries)
    for (const TextureFilter filter : kFilters)
      for (const int64_t n_textures : {1, 2}) {
        const Case c = random_case(boundary, n_textures);
        const TextureOptions options{filter, boundary, {}};
        const at::Tensor fast = texture(c.tex, c.uv, options, c.uv_da, c.bias);
        const at::Tensor plain = texture_reference(c.tex, c.uv, options, c.uv_da, c.bias);
        EXPECT_LT(max_relative_error(fast, plain), 1e-10)
            << static_cast<int>(boundary) << static_cast<int>(filter);
        const auto a = gradients_of(c, fast), b = gradients_of(c, plain);
        for (size_t i = 0; i < a.size(); ++i)
          EXPECT_LT(max_relative_error(a[i], b[i]), 1e-9)
              << "input " << i << ", boundary " << static_cast<int>(boundary) << ", filter "
              << static_cast<int>(filter);
      }
}

TEST(Texture, GradientsAreTheDifferencesOfTheResult) {
  constexpr double kStep = 1e-6;
  for (const TextureBoundary boundary : kBoundaries) {
    Case c = random_case(boundary);
    const TextureOptions options{TextureFilter::LinearMipmapLinear, boundary, {}};
    const auto exact = gradients_of(c, texture(c.tex, c.uv, options, c.uv_da, c.bias));
    at::Tensor* const inputs[] = {&c.tex, &c.uv, &c.uv_da, &c.bias};
    for (size_t i = 0; i < 4; ++i) {
      const at::Tensor at_rest = inputs[i]->detach().clone(), direction = at::randn_like(at_rest);
      const auto loss = [&](double step) {
        *inputs[i] = at_rest + step * direction;
        return (texture(c.tex, c.uv, options, c.uv_da, c.bias) * c.weights).sum().item<double>();
      };
      const double difference = (loss(kStep) - loss(-kStep)) / (2 * kStep);
      *inputs[i] = at_rest;
      // A step may cross the edge of a texel, where the slope jumps: hardly at this size of step.
      EXPECT_NEAR((exact[i] * direction).sum().item<double>(), difference, 1e-5 * (1 + std::abs(difference)))
          << "input " << i << ", boundary " << static_cast<int>(boundary);
    }
  }
}

TEST(Texture, FloatFollowsDouble) {
  for (const TextureBoundary boundary : kBoundaries) {
    const Case c = random_case(boundary);
    Case f = c;
    for (at::Tensor* t : {&f.tex, &f.uv, &f.uv_da, &f.bias, &f.weights}) *t = t->detach().to(at::kFloat);
    const TextureOptions options{TextureFilter::LinearMipmapLinear, boundary, {}};
    EXPECT_LT(max_relative_error(texture(f.tex, f.uv, options, f.uv_da, f.bias),
                                 texture(c.tex, c.uv, options, c.uv_da, c.bias)),
              1e-4);
  }
}

TEST(Texture, CudaMatchesTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  for (const TextureBoundary boundary : kBoundaries)
    for (const TextureFilter filter : kFilters) {
      const Case c = random_case(boundary);
      Case d = c;
      for (at::Tensor* t : {&d.tex, &d.uv, &d.uv_da, &d.bias, &d.weights}) *t = t->detach().to(at::kCUDA);
      for (at::Tensor* t : {&d.tex, &d.uv, &d.uv_da, &d.bias}) t->set_requires_grad(true);
      const TextureOptions options{filter, boundary, {}};
      const at::Tensor here = texture(c.tex, c.uv, options, c.uv_da, c.bias),
                       there = texture(d.tex, d.uv, options, d.uv_da, d.bias);
      EXPECT_LT(max_relative_error(there, here), 1e-10);
      const auto a = gradients_of(c, here), b = gradients_of(d, there);
      for (size_t i = 0; i < a.size(); ++i) EXPECT_LT(max_relative_error(b[i], a[i]), 1e-9) << "input " << i;
    }
}

TEST(Texture, GradientsAreTheSameForAnyNumberOfThreads) {
  const int n_before = at::get_num_threads();
  at::Tensor tex = at::randn({1, 64, 64, 3}).set_requires_grad(true);
  at::Tensor uv = (at::rand({1, 300, 300, 2}) * 2).set_requires_grad(true);
  const at::Tensor da = at::randn({1, 300, 300, 4}) / 20, weights = at::randn({1, 300, 300, 3});
  const TextureOptions options{TextureFilter::LinearMipmapLinear, TextureBoundary::Wrap, {}};
  std::vector<at::Tensor> first;
  for (const int n_threads : {1, 2, 3, 7}) {
    at::set_num_threads(n_threads);
    const auto g = torch::autograd::grad({(texture(tex, uv, options, da) * weights).sum()}, {tex, uv});
    if (first.empty()) first = g;
    EXPECT_TRUE(g[0].equal(first[0])) << n_threads << " threads";
    EXPECT_TRUE(g[1].equal(first[1])) << n_threads << " threads";
  }
  at::set_num_threads(n_before);
}

TEST(Texture, TexelCentresGiveTheTexel) {
  const at::Tensor tex = at::randn({1, 4, 8, 2});
  const at::Tensor u = (at::arange(8) + 0.5) / 8, v = (at::arange(4) + 0.5) / 4;
  const at::Tensor uv =
      at::stack({u.unsqueeze(0).expand({4, 8}), v.unsqueeze(1).expand({4, 8})}, -1).unsqueeze(0);
  for (const TextureFilter filter : {TextureFilter::Nearest, TextureFilter::Linear})
    for (const TextureBoundary boundary :
         {TextureBoundary::Wrap, TextureBoundary::Clamp, TextureBoundary::Zero})
      EXPECT_LT(max_relative_error(texture(tex, uv, {filter, boundary, {}}), tex), 1e-6);
}

TEST(Texture, CubeDirectionsGiveTheirTexel) {
  const at::Tensor cube = at::randn({1, 6, 5, 5, 2}, at::kDouble);
  const at::Tensor uv = cube_directions(5).reshape({1, 6, 25, 3}) * 3.5;
  for (const TextureFilter filter : {TextureFilter::Nearest, TextureFilter::Linear})
    EXPECT_LT(max_relative_error(texture(cube, uv, {filter, TextureBoundary::Cube, {}}),
                                 cube.reshape({1, 6, 25, 2})),
              1e-12);
}

TEST(Texture, CubesHaveNoSeams) {
  const at::Tensor cube = at::rand({1, 6, 4, 4, 1}, at::kDouble);
  const TextureOptions options{TextureFilter::Linear, TextureBoundary::Cube, {}};
  // On both sides of an edge, and around a corner.
  const auto at_direction = [&](double x, double y, double z) {
    return texture(cube, at::tensor({x, y, z}, at::kDouble).reshape({1, 1, 1, 3}), options).item<double>();
  };
  constexpr double kSide = 1e-9;
  for (const double along : {-0.9, -0.3, 0.2, 0.7})
    for (const double sign : {-1.0, 1.0}) {
      EXPECT_NEAR(at_direction(1 + kSide, sign, along), at_direction(1 - kSide, sign, along), 1e-7);
      EXPECT_NEAR(at_direction(sign, along, 1 + kSide), at_direction(sign, along, 1 - kSide), 1e-7);
      EXPECT_NEAR(at_direction(along, 1 + kSide, sign), at_direction(along, 1 - kSide, sign), 1e-7);
    }
  const double corner = at_direction(1 + kSide, 1, -1);
  EXPECT_NEAR(at_direction(1, 1 + kSide, -1), corner, 1e-7);
  EXPECT_NEAR(at_direction(1, 1, -1 - kSide), corner, 1e-7);
}

TEST(Texture, OwnMipsTakeThePlaceOfMeansAndGetTheirGradients) {
  const at::Tensor tex = at::zeros({1, 4, 4, 1});
  std::vector<at::Tensor> mips = {at::full({1, 2, 2, 1}, 3.f).set_requires_grad(true),
                                  at::full({1, 1, 1, 1}, 5.f).set_requires_grad(true)};
  const at::Tensor uv = at::full({1, 1, 1, 2}, 0.5f), bias = at::full({1, 1, 1}, 1.25f);
  const TextureOptions options{TextureFilter::LinearMipmapLinear, TextureBoundary::Clamp, {}};
  const at::Tensor out = texture(tex, uv, options, {}, bias, mips);
  EXPECT_NEAR(out.item<float>(), 0.75f * 3 + 0.25f * 5, 1e-6);
  const auto g = torch::autograd::grad({out.sum()}, mips);
  EXPECT_NEAR(g[0].sum().item<float>(), 0.75f, 1e-6);
  EXPECT_NEAR(g[1].item<float>(), 0.25f, 1e-6);
}

TEST(Texture, TheCoarsestLevelCanBeLimited) {
  const at::Tensor tex = at::randn({1, 8, 8, 1}), uv = at::full({1, 1, 1, 2}, 0.25f);
  const at::Tensor far = at::full({1, 1, 1}, 50.f);
  TextureOptions options{TextureFilter::LinearMipmapLinear, TextureBoundary::Wrap, 1};
  const at::Tensor level = texture_mips(tex, 1).at(0);
  EXPECT_LT(max_relative_error(texture(tex, uv, options, {}, far), texture(level, uv)), 1e-6);
  options.max_mip_level.reset();
  EXPECT_NEAR(texture(tex, uv, options, {}, far).item<float>(), tex.mean().item<float>(), 1e-6);
}

TEST(Texture, PlacesThatAreNotFiniteGiveNothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  const at::Tensor tex = at::ones({1, 2, 2, 1}).set_requires_grad(true);
  at::Tensor uv = at::tensor({nan, 0.f, infinity, 0.f, 0.f, -infinity, 1e30f, -1e30f}).reshape({1, 1, 4, 2});
  uv.set_requires_grad(true);
  for (const TextureBoundary boundary :
       {TextureBoundary::Wrap, TextureBoundary::Clamp, TextureBoundary::Zero}) {
    const at::Tensor out = texture(tex, uv, {TextureFilter::Linear, boundary, {}});
    EXPECT_EQ(out.slice(2, 0, 3).abs().sum().item<float>(), 0);
    EXPECT_TRUE(at::isfinite(out).all().item<bool>());
    EXPECT_TRUE(at::isfinite(torch::autograd::grad({out.sum()}, {uv})[0]).all().item<bool>());
  }
  const at::Tensor cube = at::ones({1, 6, 2, 2, 1}), nowhere = at::zeros({1, 1, 1, 3});
  EXPECT_EQ(texture(cube, nowhere, {TextureFilter::Linear, TextureBoundary::Cube, {}}).item<float>(), 0);
}

TEST(Texture, AnOddSizeIsNamedWhereItCannotBeHalved) {
  const std::string message = testing::message_of<UserError>([] { texture_mips(at::zeros({1, 8, 12, 3})); });
  EXPECT_THAT(message, ::testing::HasSubstr("level 2 of a texture has 3x2 texels"));
  EXPECT_EQ(texture_mips(at::zeros({1, 8, 12, 3}), 2).size(), 2u);
}

}  // namespace
}  // namespace t3d::raster
