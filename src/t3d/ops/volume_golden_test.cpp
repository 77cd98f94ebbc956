#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/ops/composite.h"
#include "t3d/ops/importance.h"
#include "t3d/ops/ray_march.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

// Against nerfacc 0.5.3's recorded results: golden/volume-rendering.
namespace t3d::ops {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;
using testing::max_relative_error;
using testing::record_golden;

const char* const kGrid = "volume-rendering/cases_occgrid.safetensors";
const char* const kRender = "volume-rendering/cases_render.safetensors";

void expect_close(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                  double tolerance = 1e-5) {
  const double error = max_relative_error(actual, expected);
  record_golden("volume-rendering/" + name, error);
  EXPECT_LE(error, tolerance) << name;
}

Box3f box_of(const GoldenOptions& options) {
  const auto corners = options.at("roi_aabb").get<std::vector<float>>();
  Box3f box;
  box.min = Vec3f(corners[0], corners[1], corners[2]);
  box.max = Vec3f(corners[3], corners[4], corners[5]);
  return box;
}

TEST(GoldenVolume, RayBoxMatches) {
  T3D_NEED_CASES(kGrid);
  const GoldenCases cases(kGrid);
  const RayBoxHits hits =
      intersect_box(cases.tensor("rays_o"), cases.tensor("rays_d"), box_of(GoldenOptions(kGrid)),
                    GoldenOptions(kGrid).block("aabb").number("miss_value"));
  EXPECT_TRUE(at::equal(hits.hit.to(at::kByte), cases.tensor("aabb.hit")));
  // A miss is a large number; it must not widen the tolerance of the hits.
  const at::Tensor hit = hits.hit;
  EXPECT_TRUE(at::equal(hits.t_min.masked_select(hit.logical_not()),
                        cases.tensor("aabb.t_min").masked_select(hit.logical_not())));
  expect_close("aabb.t_min", hits.t_min.masked_select(hit), cases.tensor("aabb.t_min").masked_select(hit));
  expect_close("aabb.t_max", hits.t_max.masked_select(hit), cases.tensor("aabb.t_max").masked_select(hit));
}

void expect_same_samples(const std::string& name, const GoldenCases& cases, const RaySamples& samples) {
  const at::Tensor indices = cases.tensor(name + ".ray_indices");
  ASSERT_EQ(samples.n_samples(), indices.numel()) << name;
  EXPECT_TRUE(at::equal(samples.ray_indices, indices)) << name;
  expect_close(name + ".t_starts", samples.t_starts(), cases.tensor(name + ".t_starts"));
  expect_close(name + ".t_ends", samples.t_ends(), cases.tensor(name + ".t_ends"));
}

TEST(GoldenVolume, LatticeSamplingMatches) {
  T3D_NEED_CASES(kGrid);
  const GoldenCases cases(kGrid);
  const GoldenOptions options(kGrid);
  const at::Tensor o = cases.tensor("rays_o"), d = cases.tensor("rays_d");
  const auto n_levels = static_cast<int>(options.whole("levels"));
  const auto side = static_cast<int>(options.whole("resolution"));
  OccupancyGrid grid = OccupancyGrid::create(box_of(options), side, n_levels);
  grid.binary = cases.tensor("binaries").to(at::kBool).reshape({n_levels, side, side, side});
  for (const std::string& name : options.runs()) {
    const GoldenOptions run = options.run(name);
    LatticeConfig config;
    config.step = static_cast<float>(cases.number("step"));
    config.near_plane = static_cast<float>(run.number("near_plane"));
    config.far_plane = static_cast<float>(run.number("far_plane"));
    config.cone_angle = static_cast<float>(run.number("cone_angle"));
    const at::Tensor jitter = run.truth("stratified") ? cases.tensor(name + ".u") : at::Tensor();
    RaySamples samples = sample_lattice(o, d, grid, config, jitter);
    if (run.has("sigma")) {
      const at::Tensor points = o.index_select(0, samples.ray_indices) +
                                samples.t.unsqueeze(1) * d.index_select(0, samples.ray_indices);  // [S,3]
      const GoldenOptions density = run.block("sigma");
      const at::Tensor sigma =
          density.number("amplitude") * at::exp(-density.number("falloff") * points.square().sum(1));  // [S]
      samples = select_samples(
          samples, visible_samples(sigma, samples.dt, samples.ray_start, run.number("early_stop_eps"),
                                   run.number("effective_alpha_thre")));
    }
    expect_same_samples(name, cases, samples);
  }
}

TEST(GoldenVolume, OccupancyUpdateMatches) {
  T3D_NEED_CASES(kGrid);
  const GoldenCases cases(kGrid);
  const GoldenOptions options = GoldenOptions(kGrid).block("update");
  const auto side = static_cast<int>(options.whole("resolution"));
  const Box3f box = box_of(options);
  OccupancyGrid grid = OccupancyGrid::create(box, side);
  const at::Tensor cells = at::arange(int64_t{side} * side * side, at::kLong);  // [M]
  const at::Tensor corners = at::stack(
      {cells.div(side * side, "floor"), cells.div(side, "floor").remainder(side), cells.remainder(side)},
      1);  // [M,3]
  const Vec3f size = box.size();
  const at::Tensor low = at::tensor({box.min.x(), box.min.y(), box.min.z()});
  const at::Tensor extent = at::tensor({size.x(), size.y(), size.z()});
  for (const auto& run : options.at("runs")) {
    const std::string suffix = std::to_string(run.at("step").get<int>());
    const at::Tensor points =
        (corners + cases.tensor("update.jitter" + suffix)) / side * extent + low;  // [M,3]
    const auto of = [&](const char* key) { return run.at(key).get<double>(); };
    const at::Tensor value = of("scale") * of("amplitude") *
                             at::exp(-of("falloff") * (points - of("centre")).square().sum(1));  // [M]
    grid.apply(cells, value, static_cast<float>(options.number("ema_decay")),
               static_cast<float>(options.number("occ_thre")));
    expect_close("update.occs" + suffix, grid.occupancy, cases.tensor("update.occs" + suffix));
    EXPECT_TRUE(at::equal(grid.binary[0].to(at::kByte), cases.tensor("update.binaries" + suffix)));
  }
}

TEST(GoldenVolume, ImportanceResamplingMatches) {
  T3D_NEED_CASES(kGrid);
  const GoldenCases cases(kGrid);
  const int64_t n_samples = cases.tensor("importance.samples").size(1);
  const Resampled out =
      importance_resample(cases.tensor("importance.edges"), cases.tensor("importance.cdf"), n_samples);
  expect_close("importance.samples", out.samples, cases.tensor("importance.samples"));
  expect_close("importance.intervals", out.intervals, cases.tensor("importance.intervals"));
}

TEST(GoldenVolume, CompositingAndItsGradientMatch) {
  T3D_NEED_CASES(kRender);
  const GoldenCases cases(kRender);
  const int64_t n_rays = cases.tensor("n_rays").item<int64_t>();
  const at::Tensor start = ray_start_from_indices(cases.tensor("ray_indices"), n_rays);  // [R+1]
  const at::Tensor t_starts = cases.tensor("t_starts"), t_ends = cases.tensor("t_ends");
  const at::Tensor dt = t_ends - t_starts, t = 0.5 * (t_starts + t_ends);  // [S]
  const at::Tensor sigma = cases.tensor("sigmas").clone().requires_grad_();
  const at::Tensor rgb = cases.tensor("rgbs").clone().requires_grad_();
  const RayWeights w = weights_from_density(sigma, dt, start);
  expect_close("weights", w.weights, cases.tensor("weights"));
  expect_close("transmittance", w.transmittance, cases.tensor("transmittance"));
  expect_close("alphas", w.alphas, cases.tensor("alphas"));

  const at::Tensor opacity = accumulate_along_rays(w.weights, {}, start);  // [R,1]
  const at::Tensor colour =
      accumulate_along_rays(w.weights, rgb, start) + cases.tensor("background") * (1 - opacity);  // [R,3]
  const at::Tensor depth = accumulate_along_rays(w.weights, t.unsqueeze(1), start);               // [R,1]
  const at::Tensor mean = depth.detach().index_select(0, cases.tensor("ray_indices"));            // [S,1]
  const at::Tensor zvar = accumulate_along_rays(w.weights, (t.unsqueeze(1) - mean).square(), start);
  expect_close("out.color", colour, cases.tensor("out.color"));
  expect_close("out.opacity", opacity, cases.tensor("out.opacity"));
  expect_close("out.depth", depth, cases.tensor("out.depth"));
  expect_close("out.zvar", zvar, cases.tensor("out.zvar"));

  const at::Tensor loss = (colour * cases.tensor("R.color")).sum() +
                          (opacity * cases.tensor("R.opacity")).sum() +
                          (depth * cases.tensor("R.depth")).sum() + (zvar * cases.tensor("R.zvar")).sum();
  const auto gradients = torch::autograd::grad({loss}, {sigma, rgb});
  expect_close("grad.sigmas", gradients[0], cases.tensor("grad.sigmas"), 1e-4);
  expect_close("grad.rgbs", gradients[1], cases.tensor("grad.rgbs"), 1e-4);
}

TEST(GoldenVolume, FusedForwardMatches) {
  T3D_NEED_CASES(kRender);
  const GoldenCases cases(kRender);
  const int64_t n_rays = cases.tensor("n_rays").item<int64_t>();
  const at::Tensor start = ray_start_from_indices(cases.tensor("ray_indices"), n_rays);  // [R+1]
  const at::Tensor dt = cases.tensor("t_ends") - cases.tensor("t_starts");
  const at::Tensor t = 0.5 * (cases.tensor("t_starts") + cases.tensor("t_ends"));
  const at::Tensor sigma = cases.tensor("sigmas"), rgb = cases.tensor("rgbs");
  at::Tensor colour = at::empty({n_rays, 3}), weights = at::empty_like(sigma);
  at::Tensor opacity = at::empty({n_rays, 1}), depth = at::empty({n_rays, 1}), zvar = at::empty({n_rays, 1});
  cpu::CompositeOutputs out;
  out.colour = colour.data_ptr<float>();
  out.opacity = opacity.data_ptr<float>();
  out.depth = depth.data_ptr<float>();
  out.z_variance = zvar.data_ptr<float>();
  cpu::composite_forward(start.data_ptr<int32_t>(), n_rays, sigma.data_ptr<float>(), rgb.data_ptr<float>(),
                         t.data_ptr<float>(), dt.data_ptr<float>(), 0.0f, weights.data_ptr<float>(), out);
  expect_close("weights", weights, cases.tensor("weights"));
  expect_close("out.color", colour + cases.tensor("background") * (1 - opacity), cases.tensor("out.color"));
  expect_close("out.opacity", opacity, cases.tensor("out.opacity"));
  expect_close("out.depth", depth, cases.tensor("out.depth"));
  expect_close("out.zvar", zvar, cases.tensor("out.zvar"));
}

TEST(GoldenVolume, VisibilityMatches) {
  T3D_NEED_CASES(kRender);
  const GoldenCases cases(kRender);
  const at::Tensor start =
      ray_start_from_indices(cases.tensor("ray_indices"), cases.tensor("n_rays").item<int64_t>());
  const at::Tensor dt = cases.tensor("t_ends") - cases.tensor("t_starts");
  const GoldenOptions options(kRender);
  for (const std::string& name : options.runs()) {
    const GoldenOptions run = options.run(name);
    const at::Tensor visible = visible_samples(cases.tensor("sigmas"), dt, start,
                                               run.number("early_stop_eps"), run.number("alpha_thre"));
    EXPECT_TRUE(at::equal(visible.to(at::kByte), cases.tensor(name))) << name;
  }
}

TEST(GoldenVolume, AlphaFormMatches) {
  T3D_NEED_CASES(kRender);
  const GoldenCases cases(kRender);
  const at::Tensor start =
      ray_start_from_indices(cases.tensor("ray_indices"), cases.tensor("n_rays").item<int64_t>());
  const at::Tensor alpha = cases.tensor("alpha_in").clone().requires_grad_();
  const RayWeights w = weights_from_alpha(alpha, start);
  expect_close("alpha.weights", w.weights, cases.tensor("alpha.weights"));
  expect_close("alpha.transmittance", w.transmittance, cases.tensor("alpha.transmittance"));
  const auto gradient = torch::autograd::grad({(w.weights * cases.tensor("alpha.R")).sum()}, {alpha});
  expect_close("alpha.grad", gradient[0], cases.tensor("alpha.grad"), 1e-4);
}

TEST(GoldenVolume, BatchedFormMatches) {
  T3D_NEED_CASES(kRender);
  const GoldenCases cases(kRender);
  const GoldenOptions options = GoldenOptions(kRender).block("batched");
  const at::Tensor sigma = cases.tensor("batched.sigmas");  // [R,N]
  const at::Tensor edges =
      at::linspace(options.number("near_plane"), options.number("far_plane"), sigma.size(1) + 1);  // [N+1]
  const at::Tensor dt = (edges.slice(0, 1) - edges.slice(0, 0, -1)).expand_as(sigma);
  const RayWeights w = weights_from_density_batched(sigma, dt);
  expect_close("batched.weights", w.weights, cases.tensor("batched.weights"));
  expect_close("batched.transmittance", w.transmittance, cases.tensor("batched.transmittance"));
}

}  // namespace
}  // namespace t3d::ops
