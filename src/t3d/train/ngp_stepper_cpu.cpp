#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/ops/adam.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/occupancy.h"
#include "t3d/ops/ray_march.h"
#include "t3d/ops/spherical_harmonics.h"
#include "t3d/train/ngp_draw.h"
#include "t3d/train/ngp_network_cpu.h"
#include "t3d/train/ngp_occupancy_cpu.h"
#include "t3d/train/ngp_render_cpu.h"
#include "t3d/train/ngp_start.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {
namespace {

constexpr int64_t kMaxRays = 1 << 17;
constexpr int64_t kRenderRays = 4096;

/// Training pixels with their rays worked out when they are drawn.
class PixelSource {
 public:
  explicit PixelSource(const std::vector<data::View>& views) : views_(views) {
    T3D_CHECK(!views_.empty(), "no training views");
  }

  /// origins, directions [R,3], jitter [R], target [R,4], background [R,3] of one step's rays.
  void draw(uint64_t seed, int64_t step, int64_t n, const field::NgpConfig& config, float* origins,
            float* directions, float* jitter, float* target, float* background) const {
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; ++r) {
      const auto size_of = [&](uint32_t i) { return Size{views_[i].rgba.width, views_[i].rgba.height}; };
      const auto n_views = static_cast<uint32_t>(views_.size());
      const auto step_word = static_cast<uint32_t>(step), ray_word = static_cast<uint32_t>(r);
      NgpDraw d = NgpDraw::at(seed, step_word, ray_word, n_views, size_of);
      for (uint32_t attempt = 1; attempt <= NgpDraw::kRedraws && is_masked(d); ++attempt)
        d.redraw(seed, step_word, ray_word, attempt, n_views, size_of);
      const data::View& view = views_[d.image];
      Ray ray = view.camera.ray(static_cast<float>(d.x) + 0.5f, static_cast<float>(d.y) + 0.5f);
      const uint8_t* pixel = view.rgba.at(static_cast<int>(d.x), static_cast<int>(d.y));
      // No pixel that counts was found: a ray that meets nothing, in front of its own background, has no
      // loss.
      if (is_masked(d)) {
        ray = {Vec3f::Constant(kFarAway), Vec3f::UnitX()};
        pixel = kTransparent;
      }
      for (int i = 0; i < 3; ++i) {
        origins[3 * r + i] = ray.origin[i];
        directions[3 * r + i] = ray.direction[i];
        background[3 * r + i] =
            config.random_background ? d.background[i] : config.background[static_cast<size_t>(i)];
      }
      for (int i = 0; i < 4; ++i) target[4 * r + i] = static_cast<float>(pixel[i]) * (1.0f / 255.0f);
      jitter[r] = d.jitter;
    }
  }

 private:
  struct Size {
    int width, height;
  };
  static constexpr float kFarAway = 1e4f;  // of every box
  static constexpr uint8_t kTransparent[4] = {0, 0, 0, 0};

  bool is_masked(const NgpDraw& d) const {
    const io::Image8& mask = views_[d.image].mask;
    return !mask.empty() && *mask.at(static_cast<int>(d.x), static_cast<int>(d.y)) == 0;
  }

  std::vector<data::View> views_;
};

class NgpStepperCpu : public NgpStepper {
 public:
  NgpStepperCpu(const field::NgpConfig& config, const std::vector<data::View>& views, float aabb_scale,
                uint64_t seed)
      : config_(config),
        layout_(field::NgpLayout::make(config, aabb_scale)),
        march_(ops::MarchConfig::for_scale(aabb_scale)),
        n_cascades_(ops::cascade_count(aabb_scale)),
        source_(views),
        network_(layout_, aabb_scale),
        renderer_(march_, n_cascades_, layout_.sh_degree),
        gradients_(static_cast<size_t>(layout_.n_params()), 0.0f) {
    state_ = make_initial_state(config, views, aabb_scale, seed);
    occupancy_.find_live_blocks(state_);
  }

  void step(double learning_rate) override {
    if (state_.step > 0 && state_.step % NgpOccupancyCpu::kInterval == 0)
      occupancy_.update(state_,
                        [this](const float* points, int64_t n, float* sigma) { density(points, n, sigma); });
    const int64_t n_rays = state_.n_rays;
    draw_rays(n_rays);
    const int64_t n_samples = march(n_rays);
    const float* params = state_.params.data_ptr<float>();
    float* sigma = sigma_.need(n_samples);
    network_.density(params, positions_.data(), n_samples, sigma);

    // What lies behind an opaque surface is neither shaded nor trained.
    n_used_.resize(static_cast<size_t>(n_rays));
    ops::cpu::CompositeOutputs opaque;
    opaque.n_used = n_used_.data();
    ops::cpu::composite_forward(ray_start_.data(), n_rays, sigma, nullptr, t_.data(), dt_.data(),
                                ops::kMinTransmittance, nullptr, opaque);
    used_start_.resize(static_cast<size_t>(n_rays) + 1);
    used_.resize(static_cast<size_t>(n_samples));
    const int64_t n_used = ops::cpu::compact_samples(ray_start_.data(), n_used_.data(), n_rays,
                                                     used_start_.data(), used_.data());
    shade_and_learn(params, n_rays, n_used, learning_rate);
    stats_.n_rays = n_rays;
    stats_.n_samples = n_samples;
    stats_.n_used = n_used;
    adapt_rays(n_rays, n_used, n_samples);
    ++state_.step;
  }

  NgpStats stats() override { return stats_; }
  int64_t steps_done() const override { return state_.step; }

  NgpView render(const Camera& camera, const Vec3f& background) override {
    const int width = camera.lens.width, height = camera.lens.height;
    NgpView view{io::ImageF(width, height, 3), io::ImageF(width, height, 1), io::ImageF(width, height, 1)};
    const int64_t n_pixels = static_cast<int64_t>(width) * height;
    for (int64_t first = 0; first < n_pixels;) {
      const int64_t n = std::min(kRenderRays, n_pixels - first);
      float *o = origins_.need(3 * n), *d = directions_.need(3 * n);
#pragma omp parallel for schedule(static)
      for (int64_t i = 0; i < n; ++i) {
        const int64_t pixel = first + i;
        const Ray ray =
            camera.ray(static_cast<float>(pixel % width) + 0.5f, static_cast<float>(pixel / width) + 0.5f);
        for (int axis = 0; axis < 3; ++axis)
          o[3 * i + axis] = ray.origin[axis], d[3 * i + axis] = ray.direction[axis];
      }
      renderer_.render(network_, state_.params.data_ptr<float>(), state_.bits.data_ptr<uint8_t>(), o, d, n,
                       background.data(), view.rgb.pixels.data() + 3 * first,
                       view.opacity.pixels.data() + first, view.depth.pixels.data() + first);
      first += n;
    }
    return view;
  }

  void density(const float* points, int64_t n, float* sigma) override {
    constexpr int64_t kChunk = 1 << 16;
    for (int64_t i = 0; i < n; i += kChunk)
      network_.density(state_.params.data_ptr<float>(), points + 3 * i, std::min(kChunk, n - i), sigma + i);
  }

  void colour(const float* points, const float* directions, int64_t n, float* rgb) override {
    constexpr int64_t kChunk = 1 << 16;
    for (int64_t i = 0; i < n; i += kChunk) {
      const int64_t m = std::min(kChunk, n - i);
      float* sh = sh_.need(m * layout_.n_sh());
      ops::cpu::sh_forward(layout_.sh_degree, directions + 3 * i, 3, m, ops::rows(sh, layout_.n_sh()));
      network_.shade(state_.params.data_ptr<float>(), points + 3 * i, sh, m, rgb + 3 * i);
    }
  }

  field::NgpState save() override {
    return state_;
  }

  void load(const field::NgpState& state) override {
    const auto copy = [](const char* name, at::Tensor& to, const at::Tensor& from) {
      if (from.sizes() != to.sizes())
        throw UserError(cat("the checkpoint's ", name, " has ", from.numel(),
                            " numbers; this configuration needs ", to.numel(),
                            ". Resume with the options of the first run."));
      to.copy_(from);
    };
    copy("params", state_.params, state.params);
    copy("adam_m", state_.adam_m, state.adam_m);
    copy("adam_v", state_.adam_v, state.adam_v);
    copy("density", state_.density, state.density);
    copy("bits", state_.bits, state.bits);
    state_.step = state.step;
    state_.n_rays = state.n_rays;
    state_.seed = state.seed;
    occupancy_.find_live_blocks(state_);
  }

 private:
  void draw_rays(int64_t n) {
    float* directions = directions_.need(3 * n);
    source_.draw(state_.seed, state_.step, n, config_, origins_.need(3 * n), directions, jitter_.need(n),
                 target_.need(4 * n), background_.need(3 * n));
    ops::cpu::sh_forward(layout_.sh_degree, directions, 3, n,
                         ops::rows(sh_.need(n * layout_.n_sh()), layout_.n_sh()));
  }

  /// Marches the drawn rays; returns the number of samples.
  int64_t march(int64_t n_rays) {
    const int64_t capacity = std::max<int64_t>(8 * config_.target_samples, march_.max_samples);
    ray_start_.resize(static_cast<size_t>(n_rays) + 1);
    ray_of_sample_.resize(static_cast<size_t>(capacity));
    ops::cpu::march_rays(origins_.data(), directions_.data(), jitter_.data(), n_rays,
                         state_.bits.data_ptr<uint8_t>(), n_cascades_, march_, capacity, ray_start_.data(),
                         t_.need(capacity), dt_.need(capacity), positions_.need(3 * capacity),
                         ray_of_sample_.data());
    return ray_start_[static_cast<size_t>(n_rays)];
  }

  void shade_and_learn(const float* params, int64_t n_rays, int64_t n_used, double learning_rate) {
    float *sigma = used_sigma_.need(n_used), *rgb = rgb_.need(3 * n_used);
    network_.select_and_shade(params, used_.data(), n_used, sh_.data(), ray_of_sample_.data(), sigma, rgb);
    float *t = used_t_.need(n_used), *dt = used_dt_.need(n_used);
    for (int64_t i = 0; i < n_used; ++i) {
      t[i] = t_.data()[used_[static_cast<size_t>(i)]];
      dt[i] = dt_.data()[used_[static_cast<size_t>(i)]];
    }
    ops::CompositeLossConfig loss;
    loss.loss = config_.huber ? ops::PixelLoss::Huber : ops::PixelLoss::L2;
    loss.distortion = config_.distortion;
    float *d_sigma = d_sigma_.need(n_used), *d_rgb = d_rgb_.need(3 * n_used);
    const auto result =
        ops::cpu::composite_loss(used_start_.data(), n_rays, sigma, rgb, t, dt, target_.data(),
                                 background_.data(), loss, d_sigma, d_rgb, n_used_.data(), nullptr);
    stats_.loss = result.loss;
    stats_.psnr = -10 * std::log10(std::max(1e-12, result.squared_error));
    network_.backward(params, d_sigma, d_rgb, n_used, gradients_.data());
    optimize(learning_rate);
  }

  void optimize(double learning_rate) {
    float *p = state_.params.data_ptr<float>(), *m = state_.adam_m.data_ptr<float>(),
          *v = state_.adam_v.data_ptr<float>();
    const field::NgpAdam adam = field::ngp_adam(config_);
    const auto factors = [&](const ops::AdamConfig& config) {
      return ops::adam_factors(config, learning_rate, state_.step + 1);
    };
    const int64_t n_grid = layout_.n_grid;
    ops::cpu::adam_step(p, gradients_.data(), m, v, n_grid, factors(adam.table));
    ops::cpu::adam_step(p + n_grid, gradients_.data() + n_grid, m + n_grid, v + n_grid,
                        layout_.n_params() - n_grid, factors(adam.networks));
  }

  /// The next step's rays, so that the samples that count come near the target and the marched ones stay
  /// within four times it.
  void adapt_rays(int64_t n_rays, int64_t n_used, int64_t n_samples) {
    const double per_ray =
        std::max({static_cast<double>(n_used) / static_cast<double>(n_rays),
                  0.25 * static_cast<double>(n_samples) / static_cast<double>(n_rays), 1.0 / 64});
    const auto wanted = static_cast<int64_t>(static_cast<double>(config_.target_samples) / per_ray);
    // Halfway there, so that one odd batch does not swing the size.
    state_.n_rays = std::clamp<int64_t>((n_rays + wanted) / 2, 64, kMaxRays);
  }

  field::NgpConfig config_;
  field::NgpLayout layout_;
  ops::MarchConfig march_;
  int n_cascades_;
  PixelSource source_;
  NgpNetworkCpu network_;
  NgpRendererCpu renderer_;
  NgpOccupancyCpu occupancy_;
  std::vector<float> gradients_;
  field::NgpState state_;
  NgpStats stats_;

  Workspace origins_, directions_, jitter_, target_, background_, sh_;
  Workspace t_, dt_, positions_, sigma_, used_sigma_, used_t_, used_dt_, rgb_, d_sigma_, d_rgb_;
  std::vector<int32_t> ray_start_, used_start_, ray_of_sample_, n_used_, used_;
};

}  // namespace

std::unique_ptr<NgpStepper> make_ngp_stepper_cpu(const field::NgpConfig& config,
                                                 const std::vector<data::View>& views, float aabb_scale,
                                                 uint64_t seed) {
  return std::make_unique<NgpStepperCpu>(config, views, aabb_scale, seed);
}

#ifndef T3D_HAS_CUDA
bool ngp_cuda_available() {
  return false;
}
std::unique_ptr<NgpStepper> make_ngp_stepper_cuda(const field::NgpConfig&, const std::vector<data::View>&,
                                                  float, uint64_t) {
  throw SystemError(
      "this build has no CUDA. Name a LibTorch that has in T3D_TORCH, then run ./t3d again, or pass --device "
      "cpu.");
}
#endif

}  // namespace t3d::train
