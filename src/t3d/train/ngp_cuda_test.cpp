#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "t3d/core/rng.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {
namespace {

#define T3D_NEED_CUDA() \
  if (!ngp_cuda_available()) GTEST_SKIP() << "no CUDA device"

/// Views of a shaded ball of radius 0.35, drawn in closed form.
std::vector<data::View> ball_views(int n, int size) {
  std::vector<data::View> views;
  for (int i = 0; i < n; ++i) {
    data::View view;
    view.camera = {Lens::from_fov_x(size, size, 0.8f),
                   look_at(spherical_position(360.0f * static_cast<float>(i) / static_cast<float>(n),
                                              20.0f * std::sin(static_cast<float>(i)), 1.6f),
                           Vec3f::Zero())};
    view.rgba = io::Image8(size, size, 4);
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x) {
        const Ray ray = view.camera.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
        const float b = ray.origin.dot(ray.direction), c = ray.origin.squaredNorm() - 0.35f * 0.35f;
        if (b * b < c) continue;
        const Vec3f normal = (ray.origin + (-b - std::sqrt(b * b - c)) * ray.direction) / 0.35f;
        for (int k = 0; k < 3; ++k) view.rgba.at(x, y)[k] = static_cast<uint8_t>(127.5f + 127.0f * normal[k]);
        view.rgba.at(x, y)[3] = 255;
      }
    views.push_back(std::move(view));
  }
  return views;
}

field::NgpConfig small_config() {
  field::NgpConfig config;
  config.log2_table = 14;
  config.max_resolution = 256;
  config.target_samples = 1 << 15;
  config.first_rays = 512;
  return config;
}

/// Parameters far enough from their first values that densities and colours differ from place to place.
void stir(NgpStepper& stepper) {
  field::NgpState state = stepper.save();
  Rng rng(5);
  float* p = state.params.data_ptr<float>();
  for (int64_t i = 0; i < state.params.numel(); ++i) p[i] += 0.3f * (rng.uniform() - 0.5f);
  stepper.load(state);
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

TEST(NgpCuda, DensityAndColourMatchTheCpu) {
  T3D_NEED_CUDA();
  const auto views = ball_views(4, 16);
  const auto cpu = make_ngp_stepper_cpu(small_config(), views, 1, 1),
             gpu = make_ngp_stepper_cuda(small_config(), views, 1, 1);
  stir(*cpu);
  gpu->load(cpu->save());
  Rng rng(2);
  const int64_t n = 5000;
  std::vector<float> points(3 * n), directions(3 * n), a(n), b(n), rgb_a(3 * n), rgb_b(3 * n);
  for (auto& v : points) v = rng.uniform() - 0.5f;
  for (int64_t i = 0; i < n; ++i) {
    const Vec3f d = Vec3f(rng.normal(), rng.normal(), rng.normal()).normalized();
    for (int k = 0; k < 3; ++k) directions[static_cast<size_t>(3 * i + k)] = d[k];
  }
  cpu->density(points.data(), n, b.data());
  gpu->density(points.data(), n, a.data());
  EXPECT_LT(relative_difference(a, b), 1e-2);
  cpu->colour(points.data(), directions.data(), n, rgb_b.data());
  gpu->colour(points.data(), directions.data(), n, rgb_a.data());
  EXPECT_LT(relative_difference(rgb_a, rgb_b), 1e-2);
}

/// One step on the same state and views on both devices.
void expect_same_step(const field::NgpConfig& config, const std::vector<data::View>& views,
                      int64_t fewer_rays = 1) {
  const auto cpu = make_ngp_stepper_cpu(config, views, 1, 1),
             gpu = make_ngp_stepper_cuda(config, views, 1, 1);
  stir(*cpu);
  field::NgpState state = cpu->save();
  state.step = 1;  // between occupancy updates, so that both march the same cells
  state.n_rays /= fewer_rays;
  cpu->load(state);
  gpu->load(state);
  cpu->step(1e-3);
  gpu->step(1e-3);
  EXPECT_NEAR(gpu->stats().loss / cpu->stats().loss, 1.0, 0.02);
  EXPECT_NEAR(static_cast<double>(gpu->stats().n_used) / static_cast<double>(cpu->stats().n_used), 1.0, 0.02);
  const at::Tensor a = gpu->save().adam_m, b = cpu->save().adam_m;  // a tenth of the gradient
  const double cosine = (a * b).sum().item<double>() / (a.norm() * b.norm()).item<double>();
  EXPECT_GT(cosine, 0.99);
  EXPECT_NEAR((a.norm() / b.norm()).item<double>(), 1.0, 0.05);
}

TEST(NgpCuda, GradientsOfAStepPointWhereTheCpusDo) {
  T3D_NEED_CUDA();
  field::NgpConfig config = small_config();
  config.network_l2 = 0;
  expect_same_step(config, ball_views(6, 24));
  config.random_background = false;
  config.background = {0.9f, 0.2f, 0.4f};
  expect_same_step(config, ball_views(6, 24));
}

TEST(NgpCuda, MasksHideTheSamePixelsAsOnTheCpu) {
  T3D_NEED_CUDA();
  field::NgpConfig config = small_config();
  config.network_l2 = 0;
  for (const int n_columns : {12, 1}) {  // that count; with one, some rays find no pixel
    auto views = ball_views(6, 24);
    for (data::View& view : views) {
      view.mask = io::Image8(24, 24, 1);
      for (int y = 0; y < 24; ++y)
        for (int x = 0; x < n_columns; ++x) *view.mask.at(x + 6, y) = 255;
      // Hot pink without opacity is a colour like another where it counts.
      for (int y = 0; y < 24; ++y)
        if (view.rgba.at(7, y)[3] == 0) view.rgba.at(7, y)[0] = view.rgba.at(7, y)[2] = 255;
    }
    // Rays that all meet the ball have more samples than the device's buffers hold for a step as it begins.
    expect_same_step(config, views, 4);
  }
}

TEST(NgpCuda, LensesSendRaysWhereTheCpusDo) {
  T3D_NEED_CUDA();
  field::NgpConfig config = small_config();
  config.network_l2 = 0;
  for (const bool is_fisheye : {false, true}) {
    auto views = ball_views(6, 24);
    for (data::View& view : views) {
      Lens& lens = view.camera.lens;
      lens.is_fisheye = is_fisheye;
      lens.k1 = -0.1f, lens.k2 = 0.03f, lens.k3 = -0.01f, lens.k4 = 0.002f;
      if (!is_fisheye)
        lens.p1 = 0.002f, lens.p2 = -0.001f, lens.d1 = 0.05f, lens.d2 = 0.01f, lens.d3 = 0.003f;
    }
    expect_same_step(config, views);
  }
}

TEST(NgpCuda, LearnsABall) {
  T3D_NEED_CUDA();
  const auto views = ball_views(20, 64);
  const auto gpu = make_ngp_stepper_cuda(small_config(), views, 1, 3);
  for (int i = 0; i < 600; ++i) gpu->step(i < 300 ? 1e-2 : 1e-3);
  EXPECT_GT(gpu->stats().psnr, 30.0);
  const NgpView view = gpu->render(views[0].camera, Vec3f::Ones());
  EXPECT_GT(*view.opacity.at(32, 32), 0.98f);
  EXPECT_LT(*view.opacity.at(1, 1), 0.05f);
  EXPECT_NEAR(*view.depth.at(32, 32), 1.25f, 0.05f);
}

}  // namespace
}  // namespace t3d::train
