#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "t3d/raster/antialias.h"
#include "t3d/raster/barycentrics.h"
#include "t3d/raster/interpolate.h"
#include "t3d/raster/reference.h"
#include "tests/support/sphere_mesh.h"

/// Gradients in double precision against finite differences, and against autograd through the definitions.
namespace t3d::raster {
namespace {

using Loss = std::function<at::Tensor(const at::Tensor&)>;

/// max |gradient - central differences| / max |gradient|, over the entries that `which` [N] names.
double gradient_error(const Loss& loss, const at::Tensor& at_point, const at::Tensor& which,
                      double step = 1e-6) {
  const at::Tensor x = at_point.detach().clone().set_requires_grad(true);
  const at::Tensor gradient = torch::autograd::grad({loss(x)}, {x})[0].reshape({-1});
  const at::Tensor flat = x.detach().reshape({-1});
  double worst = 0;
  for (int64_t n = 0; n < which.size(0); ++n) {
    const int64_t k = which[n].item<int64_t>();
    const auto moved = [&](double by) {
      at::Tensor y = flat.clone();
      y[k] += by;
      return loss(y.view(x.sizes())).item<double>();
    };
    worst = std::max(worst, std::abs(gradient[k].item<double>() - (moved(step) - moved(-step)) / (2 * step)));
  }
  return worst / gradient.abs().max().item<double>();
}

at::Tensor all_entries(const at::Tensor& t) {
  return at::arange(t.numel(), at::kLong);
}

/// 12 large triangles in 2 images, in double precision.
struct Scene {
  at::Tensor tri = at::arange(36, at::kInt).reshape({12, 3});
  at::Tensor pos, attr = at::randn({2, 36, 5}, at::kDouble);
  int64_t height = 19, width = 23;
  Scene() {
    const at::Tensor w = at::rand({2, 36, 1}, at::kDouble) + 0.5;
    pos = at::cat(
        {(at::rand({2, 36, 3}, at::kDouble) * 2.4 - 1.2) * at::tensor({1.0, 1.0, 0.7}, at::kDouble) * w, w},
        2);
  }
  at::Tensor triangle() const { return rasterize(pos, tri, height, width).rast.select(3, 3).to(at::kInt); }
};

TEST(RasterGradients, BarycentricsAndTheirDerivatives) {
  const Scene scene;
  const at::Tensor seen = scene.triangle();
  const at::Tensor a = at::randn({2, scene.height, scene.width, 2}, at::kDouble),
                   b = at::randn({2, scene.height, scene.width, 4}, at::kDouble);
  // Away from the clamp at the triangles' edges, and from triangles seen nearly edge-on.
  const Rasterized r = barycentrics(scene.pos, scene.tri, seen);
  const at::Tensor u = r.rast.select(3, 0), v = r.rast.select(3, 1);
  const at::Tensor inside = (u > 0.01) & (v > 0.01) & (u + v < 0.99) & (r.rast_db.abs().amax(3) < 0.5);
  EXPECT_GT(inside.sum().item<int64_t>(), 200);
  const at::Tensor mask = inside.to(at::kDouble).unsqueeze(3);
  const auto uv = [&](const at::Tensor& pos) {
    return (barycentrics(pos, scene.tri, seen).rast.slice(3, 0, 2) * a * mask).sum();
  };
  const auto db = [&](const at::Tensor& pos) {
    return (barycentrics(pos, scene.tri, seen).rast_db * b * mask).sum();
  };
  EXPECT_LT(gradient_error(uv, scene.pos, all_entries(scene.pos)), 1e-4);
  EXPECT_LT(gradient_error(db, scene.pos, all_entries(scene.pos)), 1e-4);
}

TEST(RasterGradients, AreThoseOfTheDefinition) {
  const Scene scene;
  const at::Tensor pos = scene.pos.clone().set_requires_grad(true);
  const at::Tensor a = at::randn({2, scene.height, scene.width, 2}, at::kDouble),
                   b = at::randn({2, scene.height, scene.width, 4}, at::kDouble);
  const auto gradient = [&](const Rasterized& r) {
    return torch::autograd::grad({(r.rast.slice(3, 0, 2) * a).sum() + (r.rast_db * b).sum()}, {pos})[0];
  };
  const at::Tensor expected = gradient(rasterize_reference(pos, scene.tri, scene.height, scene.width));
  const at::Tensor actual = gradient(rasterize(pos, scene.tri, scene.height, scene.width));
  EXPECT_LT(((actual - expected).abs().max() / expected.abs().max()).item<double>(), 1e-2);
  EXPECT_EQ(actual.select(2, 2).abs().max().item<double>(), 0);
}

TEST(RasterGradients, InterpolationByAttributesAndBarycentrics) {
  const Scene scene;
  const Rasterized r = rasterize(scene.pos, scene.tri, scene.height, scene.width);
  const std::vector<int64_t> diff = {3, 0};
  const at::Tensor weights = at::randn({2, scene.height, scene.width, 5}, at::kDouble),
                   da = at::randn({2, scene.height, scene.width, 4}, at::kDouble);
  const auto loss = [&](const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& db) {
    const Interpolated out = interpolate_with_derivatives(attr, rast, scene.tri, db, diff);
    return (out.out * weights).sum() + (out.out_da * da).sum();
  };
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(x, r.rast, r.rast_db); }, scene.attr,
                           all_entries(scene.attr), 1e-3),
            1e-7);
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(scene.attr, r.rast, x); }, r.rast_db,
                           all_entries(r.rast_db), 1e-3),
            1e-7);
  // Of rast, u and v alone.
  const at::Tensor pixel = (r.rast.select(3, 3).reshape({-1}) > 0).nonzero().select(1, 0);
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(scene.attr, x, r.rast_db); }, r.rast,
                           at::cat({pixel * 4, pixel * 4 + 1}), 1e-3),
            1e-7);
  // One set of attributes for all images.
  const at::Tensor shared = scene.attr.slice(0, 0, 1);
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(x, r.rast, r.rast_db); }, shared,
                           all_entries(shared), 1e-3),
            1e-7);
  EXPECT_TRUE(interpolate(shared, r.rast, scene.tri)
                  .equal(interpolate(shared.expand({2, 36, 5}), r.rast, scene.tri)));
  EXPECT_TRUE(interpolate(shared[0], r.rast, scene.tri).equal(interpolate(shared, r.rast, scene.tri)));
}

TEST(RasterGradients, InterpolationIsTheDefinitions) {
  const Scene scene;
  const Rasterized r = rasterize(scene.pos, scene.tri, scene.height, scene.width);
  EXPECT_TRUE(at::allclose(interpolate(scene.attr, r.rast, scene.tri),
                           interpolate_reference(scene.attr, r.rast, scene.tri), 1e-12, 1e-12));
  // Pixel derivatives of screen-space positions are what they are: one pixel.
  const at::Tensor ones = scene.pos.clone();
  ones.select(2, 3).fill_(1);
  const Rasterized flat = rasterize(ones, scene.tri, scene.height, scene.width);
  const at::Tensor da = interpolate_with_derivatives(ones, flat.rast, scene.tri, flat.rast_db, {0, 1}).out_da;
  const at::Tensor inside = da.index({flat.rast.select(3, 3) > 0});
  const at::Tensor pixel = at::tensor({2.0 / 23, 0.0, 0.0, 2.0 / 19}, at::kDouble);
  EXPECT_LT((inside - pixel).abs().max().item<double>(), 1e-9);
}

/// A coarse sphere in double precision, and what antialias() takes.
struct SphereScene {
  testing::SphereMesh mesh = testing::sphere_mesh(2);
  at::Tensor pos = testing::seen_from_around(mesh.vertices, 2).to(at::kDouble), color, rast;
  SphereScene() {
    rast = rasterize(pos, mesh.triangles, 33, 29).rast;
    color = at::rand({2, 33, 29, 3}, at::kDouble);
  }
};

TEST(RasterGradients, AntialiasingIsTheDefinitions) {
  const SphereScene s;
  const at::Tensor pos = s.pos.clone().set_requires_grad(true),
                   color = s.color.clone().set_requires_grad(true);
  const at::Tensor weights = at::randn_like(s.color);
  const at::Tensor fast = antialias(color, s.rast, pos, s.mesh.triangles),
                   slow = antialias_reference(color, s.rast, pos, s.mesh.triangles);
  EXPECT_GT((fast != color).any(3).sum().item<int64_t>(), 40);
  EXPECT_TRUE(at::allclose(fast, slow, 1e-9, 1e-9));
  const auto gradients = [&](const at::Tensor& out) {
    return torch::autograd::grad({(out * weights).sum()}, {pos, color});
  };
  const auto a = gradients(fast), b = gradients(slow);
  EXPECT_LT(((a[0] - b[0]).abs().max() / b[0].abs().max()).item<double>(), 1e-3);
  EXPECT_TRUE(at::allclose(a[1], b[1], 1e-9, 1e-9));
  EXPECT_EQ(a[0].select(2, 2).abs().max().item<double>(), 0);
}

TEST(RasterGradients, AntialiasingByPositions) {
  const SphereScene s;
  const EdgeTopology topology = EdgeTopology::of(s.mesh.triangles);
  const at::Tensor weights = at::randn_like(s.color);
  const auto loss = [&](const at::Tensor& pos) {
    return (antialias(s.color, s.rast, pos, s.mesh.triangles, &topology) * weights).sum();
  };
  // The offset of 1/1000 pixel, and of the edges that pass near a pixel's centre either way.
  EXPECT_LT(gradient_error(loss, s.pos, at::arange(0, s.pos.numel(), 3, at::kLong), 1e-7), 2e-3);
}

TEST(RasterGradients, AntialiasingScalesTheGradientOfPositions) {
  const SphereScene s;
  const auto gradient = [&](double boost) {
    const at::Tensor pos = s.pos.clone().set_requires_grad(true);
    return torch::autograd::grad(
        {antialias(s.color, s.rast, pos, s.mesh.triangles, nullptr, boost).square().sum()}, {pos})[0];
  };
  EXPECT_TRUE(at::allclose(gradient(2.5), gradient(1) * 2.5, 1e-12, 1e-12));
}

TEST(RasterGradients, AntialiasingRepeatsToTheBitOnAnyThreads) {
  const SphereScene s;
  const auto results = [&] {
    const at::Tensor pos = s.pos.clone().set_requires_grad(true),
                     color = s.color.clone().set_requires_grad(true);
    const at::Tensor out = antialias(color, s.rast, pos, s.mesh.triangles);
    const auto g = torch::autograd::grad({out.square().sum()}, {pos, color});
    return std::vector<at::Tensor>{out, g[0], g[1]};
  };
  const int n_threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = results();
  at::set_num_threads(3);
  const auto three = results();
  at::set_num_threads(n_threads);
  for (size_t n = 0; n < one.size(); ++n) EXPECT_TRUE(one[n].equal(three[n])) << n;
}

TEST(EdgeTopology, NamesTheVertexBeyondEachEdge) {
  // Two triangles at 1-2; three more at 2-3; one without area.
  const at::Tensor tri = at::tensor({0, 1, 2, 1, 3, 2, 2, 3, 4, 3, 2, 5, 6, 6, 1}, at::kInt).reshape({5, 3});
  const at::Tensor expected =
      at::tensor({3, -1, -1, -1, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, at::kInt).reshape({5, 3});
  EXPECT_TRUE(EdgeTopology::of(tri).opposite.equal(expected));
  const auto sphere = testing::sphere_mesh(5);
  const at::Tensor opposite = EdgeTopology::of(sphere.triangles).opposite;
  EXPECT_TRUE((opposite >= 0).all().item<bool>());
  EXPECT_EQ(EdgeTopology::of(at::zeros({0, 3}, at::kInt)).opposite.size(0), 0);
}

}  // namespace
}  // namespace t3d::raster
