#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/data/image_metrics.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/ray_march.h"
#include "t3d/ops/spherical_harmonics.h"
#include "t3d/train/ngp_draw.h"
#include "t3d/train/ngp_start.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {
namespace {

constexpr float kRadius = 0.35f;

/// A ball whose colour is its normal, on transparent ground.
data::View ball_view(float azimuth_deg, float elevation_deg, int size) {
  data::View view;
  view.name = "ball";
  view.camera.lens = Lens::from_fov_x(size, size, 0.8f);
  view.camera.camera_to_world = look_at(spherical_position(azimuth_deg, elevation_deg, 1.4f), Vec3f::Zero());
  view.rgba = io::Image8(size, size, 4);
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const Ray ray = view.camera.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
      const float b = ray.origin.dot(ray.direction);
      const float d = b * b - ray.origin.squaredNorm() + kRadius * kRadius;
      if (d < 0) continue;
      const Vec3f normal = (ray.origin + ray.direction * (-b - std::sqrt(d))) / kRadius;
      for (int c = 0; c < 3; ++c) view.rgba.at(x, y)[c] = static_cast<uint8_t>(127 + 120 * normal[c]);
      view.rgba.at(x, y)[3] = 255;
    }
  return view;
}

std::vector<data::View> ball_views(int n, int size) {
  std::vector<data::View> views;
  for (int i = 0; i < n; ++i)
    views.push_back(ball_view(360.0f * static_cast<float>(i) / static_cast<float>(n),
                              i % 3 == 0   ? -35.0f
                              : i % 3 == 1 ? 5.0f
                                           : 45.0f,
                              size));
  return views;
}

field::NgpConfig tiny_config() {
  field::NgpConfig config;
  config.n_levels = 3;
  config.log2_table = 9;
  config.base_resolution = 4;
  config.max_resolution = 32;
  config.n_neurons = 16;
  config.target_samples = 1 << 14;
  config.first_rays = 40;
  config.huber = false;
  config.network_l2 = 0;
  return config;
}

/// Rays and targets of a step, drawn as the stepper draws them.
struct Batch {
  at::Tensor origins, directions, jitter, target;  // [R,3], [R,3], [R], [R,3] over the background
};

Batch draw_batch(const std::vector<data::View>& views, uint64_t seed, int64_t step, int64_t n) {
  struct Size {
    int width, height;
  };
  Batch batch{at::empty({n, 3}), at::empty({n, 3}), at::empty({n}), at::empty({n, 3})};
  for (int64_t r = 0; r < n; ++r) {
    const auto d = NgpDraw::at(seed, static_cast<uint32_t>(step), static_cast<uint32_t>(r),
                               static_cast<uint32_t>(views.size()), [&](uint32_t i) {
                                 return Size{views[i].rgba.width, views[i].rgba.height};
                               });
    const Ray ray = views[d.image].camera.ray(static_cast<float>(d.x) + 0.5f, static_cast<float>(d.y) + 0.5f);
    const uint8_t* pixel = views[d.image].rgba.at(static_cast<int>(d.x), static_cast<int>(d.y));
    const float alpha = static_cast<float>(pixel[3]) / 255.0f;
    for (int i = 0; i < 3; ++i) {
      batch.origins[r][i] = ray.origin[i];
      batch.directions[r][i] = ray.direction[i];
      batch.target[r][i] = static_cast<float>(pixel[i]) / 255.0f * alpha + d.background[i] * (1.0f - alpha);
    }
    batch.jitter[r] = d.jitter;
  }
  return batch;
}

/// The backgrounds of the same rays [R,3].
at::Tensor draw_backgrounds(uint64_t seed, int64_t step, int64_t n, uint32_t n_images, int size) {
  struct Size {
    int width, height;
  };
  auto background = at::empty({n, 3}, at::kDouble);
  for (int64_t r = 0; r < n; ++r) {
    const auto d =
        NgpDraw::at(seed, static_cast<uint32_t>(step), static_cast<uint32_t>(r), n_images, [&](uint32_t) {
          return Size{size, size};
        });
    for (int i = 0; i < 3; ++i) background[r][i] = d.background[i];
  }
  return background;
}

/// The loss of one step in double, by differentiable tensor functions alone.
at::Tensor reference_loss(const field::NgpLayout& layout, const at::Tensor& params, const Batch& batch,
                          const at::Tensor& background, const ops::RaySamples& samples) {
  const auto ray = samples.ray_indices;
  const auto t = samples.t.to(at::kDouble).unsqueeze(1);
  const auto origins = batch.origins.to(at::kDouble), directions = batch.directions.to(at::kDouble);
  const auto points = origins.index({ray}) + t * directions.index({ray});
  const auto table = params.narrow(0, 0, layout.n_grid);
  const auto density_weights = params.narrow(0, layout.n_grid, layout.n_density);
  const auto colour_weights = params.narrow(0, layout.n_grid + layout.n_density, layout.n_colour);
  const auto features = ops::hash_grid_encode(points + 0.5, table, layout.grid);
  const auto geometry = ops::mlp(features, density_weights, layout.density);
  const auto sigma = geometry.select(1, 0).exp();
  const auto sh = ops::spherical_harmonics(directions, layout.sh_degree).index({ray});
  const auto rgb = ops::mlp(at::cat({sh, geometry}, 1), colour_weights, layout.colour);
  const auto weights =
      ops::weights_from_density(sigma, samples.dt.to(at::kDouble), samples.ray_start).weights;
  const auto colour = ops::accumulate_along_rays(weights, rgb, samples.ray_start);
  const auto opacity = ops::accumulate_along_rays(weights, {}, samples.ray_start);
  return (colour + background * (1 - opacity) - batch.target.to(at::kDouble)).square().mean();
}

TEST(NgpStepperCpu, GradientOfAStepEqualsAutogradInDouble) {
  const auto views = ball_views(4, 12);
  const auto config = tiny_config();
  const auto stepper = make_ngp_stepper_cpu(config, views, 1.0f, 7);
  field::NgpState state = stepper->save();
  state.params = at::rand({state.params.size(0)}, at::kFloat).sub(0.5).mul(0.8);
  stepper->load(state);
  state.params = state.params.clone();
  const auto layout = field::NgpLayout::make(config, 1.0f);
  const auto batch = draw_batch(views, 7, 0, state.n_rays);
  ops::DensityGrid grid;
  grid.density = state.density.clone();
  grid.bits = state.bits.clone();
  const auto samples =
      ops::march(batch.origins, batch.directions, grid, ops::MarchConfig::for_scale(1.0f), batch.jitter);
  ASSERT_GT(samples.n_samples(), 100);
  const auto params = state.params.to(at::kDouble).requires_grad_(true);
  const auto background = draw_backgrounds(7, 0, state.n_rays, 4, 12);
  const auto loss = reference_loss(layout, params, batch, background, samples);
  loss.backward();

  stepper->step(1e-3);
  EXPECT_NEAR(stepper->stats().loss, loss.item<double>(), 1e-5 * loss.item<double>() + 1e-7);
  // After Adam's first step m is (1 - beta1) times the gradient.
  const auto gradient = stepper->save().adam_m.to(at::kDouble) / 0.1;
  for (const auto& [first, n] :
       {std::pair{int64_t{0}, layout.n_grid}, std::pair{layout.n_grid, layout.n_density},
        std::pair{layout.n_grid + layout.n_density, layout.n_colour}}) {
    const auto expected = params.grad().narrow(0, first, n), actual = gradient.narrow(0, first, n);
    const double scale = expected.abs().max().item<double>();
    ASSERT_GT(scale, 0);
    EXPECT_LT((actual - expected).abs().max().item<double>() / scale, 2e-4) << "parameters from " << first;
  }
}

field::NgpConfig small_ball_config() {
  auto config = field::ngp_config_for_cpu();
  config.n_levels = 6;
  config.max_resolution = 64;
  config.log2_table = 13;
  config.n_neurons = 32;
  config.target_samples = 1 << 13;
  return config;
}

double psnr_of_unseen_ball(NgpStepper& stepper) {
  const auto unseen = ball_view(15, 20, 32);
  io::ImageF truth(32, 32, 3);
  for (size_t i = 0; i < 32 * 32; ++i)
    for (size_t c = 0; c < 3; ++c)
      truth.pixels[3 * i + c] = unseen.rgba.pixels[4 * i + 3] == 0
                                    ? 1.0f
                                    : static_cast<float>(unseen.rgba.pixels[4 * i + c]) / 255.0f;
  return data::psnr(stepper.render(unseen.camera, Vec3f::Ones()).rgb, truth);
}

TEST(NgpStepperCpu, LearnsABallFromItsPictures) {
  const auto stepper = make_ngp_stepper_cpu(small_ball_config(), ball_views(12, 32), 1.0f, 1);
  for (int i = 0; i < 200; ++i) stepper->step(1e-2);
  EXPECT_GT(psnr_of_unseen_ball(*stepper), 26.0);
  const auto rendered = stepper->render(ball_view(15, 20, 32).camera, Vec3f::Ones());
  // Depth through the middle is the distance to the ball's front.
  const size_t middle = 16 * 32 + 16;
  EXPECT_GT(rendered.opacity.pixels[middle], 0.95f);
  EXPECT_NEAR(rendered.depth.pixels[middle] / rendered.opacity.pixels[middle], 1.4f - kRadius, 0.04f);
  EXPECT_LT(rendered.opacity.pixels[0], 0.01f);
}

/// Noise over the left part of the view, and a mask that hides it.
void spoil(data::View& view, bool with_mask) {
  const int width = view.rgba.width, height = view.rgba.height;
  if (with_mask) view.mask = io::Image8(width, height, 1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const bool is_spoilt = x < 2 * width / 5;
      if (with_mask) *view.mask.at(x, y) = is_spoilt ? 0 : 255;
      if (!is_spoilt) continue;
      for (int c = 0; c < 3; ++c)
        view.rgba.at(x, y)[c] = static_cast<uint8_t>((x * 7919 + y * 104729 + c * 31) % 256);
      view.rgba.at(x, y)[3] = 255;
    }
}

TEST(NgpStepperCpu, PixelsThatAMaskHidesChangeNothing) {
  std::vector<data::View> views[2] = {ball_views(6, 24), ball_views(6, 24)};
  for (data::View& view : views[0]) spoil(view, true);
  for (data::View& view : views[1]) {
    spoil(view, true);
    for (size_t i = 0; i < view.mask.pixels.size(); ++i)
      if (view.mask.pixels[i] == 0) std::fill_n(view.rgba.pixels.data() + 4 * i, 4, uint8_t{90});
  }
  field::NgpState states[2];
  for (int i = 0; i < 2; ++i) {
    const auto stepper = make_ngp_stepper_cpu(tiny_config(), views[i], 1.0f, 1);
    for (int step = 0; step < 30; ++step) stepper->step(1e-2);
    states[i] = stepper->save();
  }
  for (const auto& [name, tensor] : states[0].tensors())
    EXPECT_TRUE(tensor.equal(states[1].tensors().at(name))) << name;
}

TEST(NgpStepperCpu, LearnsAroundWhatAMaskHides) {
  const auto config = small_ball_config();
  auto views = ball_views(12, 32);
  for (auto& view : views) spoil(view, true);
  const auto stepper = make_ngp_stepper_cpu(config, views, 1.0f, 1);
  for (int i = 0; i < 200; ++i) stepper->step(1e-2);
  EXPECT_GT(psnr_of_unseen_ball(*stepper), 22.0);
}

TEST(NgpStepperCpu, ViewsWithFewPixelsThatCountStillTrain) {
  auto views = ball_views(2, 16);
  for (auto& view : views) {
    view.mask = io::Image8(16, 16, 1);
    *view.mask.at(8, 8) = 255;
  }
  const auto stepper = make_ngp_stepper_cpu(tiny_config(), views, 1.0f, 1);
  for (int i = 0; i < 20; ++i) stepper->step(1e-2);
  EXPECT_TRUE(std::isfinite(stepper->stats().loss));
}

TEST(VisualHull, IsNotCarvedByPixelsThatAMaskHides) {
  auto views = ball_views(20, 64);
  for (auto& view : views) {
    view.mask = io::Image8(64, 64, 1);
    for (size_t i = 0; i < view.mask.pixels.size(); ++i) view.mask.pixels[i] = view.rgba.pixels[4 * i + 3];
  }
  const auto state = make_initial_state(tiny_config(), views, 1.0f, 0);
  auto plain = ball_views(20, 64);
  for (auto& view : plain)
    for (size_t i = 3; i < view.rgba.pixels.size(); i += 4) view.rgba.pixels[i] = 255;
  EXPECT_TRUE(state.density.equal(make_initial_state(tiny_config(), plain, 1.0f, 0).density));
}

/// The ball through a lens that sees more than a half-space.
data::View fisheye_view(const Vec3f& position, const Vec3f& target, int size) {
  data::View view = ball_view(0, 0, size);
  view.camera.lens.is_fisheye = true;
  view.camera.lens.fx = view.camera.lens.fy = static_cast<float>(size) / 3.6f;
  view.camera.camera_to_world = look_at(position, target);
  view.rgba = io::Image8(size, size, 4);
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const Ray ray = view.camera.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
      const float b = ray.origin.dot(ray.direction), d = b * b - ray.origin.squaredNorm() + kRadius * kRadius;
      if (d >= 0 && b < 0) view.rgba.at(x, y)[3] = 255;
    }
  return view;
}

TEST(VisualHull, KeepsWhatAFisheyeLensSees) {
  // Looks past the ball: 100 degrees from the axis it is still in the image.
  std::vector<data::View> views;
  for (int i = 0; i < 12; ++i) {
    const Vec3f from = spherical_position(30.0f * static_cast<float>(i), i % 2 == 0 ? 30.0f : -30.0f, 0.7f);
    const Vec3f aside = from.cross(Vec3f::UnitZ()).normalized();
    views.push_back(
        fisheye_view(from, i % 3 == 0 ? Vec3f(from + aside + 0.1f * from) : Vec3f(Vec3f::Zero()), 96));
  }
  const auto state = make_initial_state(tiny_config(), views, 1.0f, 0);
  const float* density = state.density.data_ptr<float>();
  int64_t n_kept = 0;
  for (int64_t cell = 0; cell < ops::kCellsPerCascade; ++cell) {
    Vec3f p;
    ops::cell_point(static_cast<uint32_t>(cell), 0.5f, 0.5f, 0.5f, p.data());
    ASSERT_TRUE(p.norm() >= kRadius - 0.01f || density[cell] >= 0.0f) << p.transpose();
    n_kept += density[cell] >= 0 ? 1 : 0;
  }
  EXPECT_LT(static_cast<double>(n_kept) / ops::kCellsPerCascade, 0.6);
}

TEST(NgpStepperCpu, RepeatsExactlyFromASavedState) {
  for (ops::Precision precision : {ops::Precision::Float32, ops::Precision::Bfloat16}) {
    const auto views = ball_views(4, 16);
    field::NgpConfig config = tiny_config();
    config.precision = precision;
    const auto a = make_ngp_stepper_cpu(config, views, 1.0f, 3);
    const auto b = make_ngp_stepper_cpu(config, views, 1.0f, 99);
    for (int i = 0; i < 20; ++i) a->step(1e-2);
    b->load(a->save());
    for (int i = 0; i < 20; ++i) a->step(1e-2), b->step(1e-2);
    const auto x = a->save(), y = b->save();
    for (const auto& [name, tensor] : x.tensors()) EXPECT_TRUE(tensor.equal(y.tensors().at(name))) << name;
    EXPECT_EQ(x.n_rays, y.n_rays);
    EXPECT_EQ(x.step, y.step);
  }
}

TEST(VisualHull, KeepsTheBallAndDropsTheCorners) {
  const auto state = make_initial_state(tiny_config(), ball_views(20, 64), 1.0f, 0);
  const float* density = state.density.data_ptr<float>();
  int64_t n_kept = 0;
  for (int64_t cell = 0; cell < ops::kCellsPerCascade; ++cell) {
    Vec3f p;
    ops::cell_point(static_cast<uint32_t>(cell), 0.5f, 0.5f, 0.5f, p.data());
    const bool is_ball = p.norm() < kRadius - 0.01f;
    ASSERT_TRUE(!is_ball || density[cell] >= 0.0f) << p.transpose();
    n_kept += density[cell] >= 0 ? 1 : 0;
  }
  const double ball_share = 4.0 / 3.0 * 3.14159265 * std::pow(kRadius, 3);
  EXPECT_LT(static_cast<double>(n_kept) / ops::kCellsPerCascade, 1.6 * ball_share);
}

}  // namespace
}  // namespace t3d::train
