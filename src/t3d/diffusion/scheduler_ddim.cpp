#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/diffusion/scheduler_kinds.h"

namespace t3d::diffusion {

void DdpmScheduler::plan(int64_t n_steps) {
  timesteps_ = spaced_timesteps(config_, n_steps);
}

at::Tensor DdpmScheduler::advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) {
  const double t = timesteps_[next_];
  const bool is_last = next_ + 1 == timesteps_.size();
  const double a = schedule_.alpha_bar(static_cast<int64_t>(t));
  const double a_next = is_last ? 1 : schedule_.alpha_bar(static_cast<int64_t>(timesteps_[next_ + 1]));
  const double step_alpha = a / a_next, step_beta = 1 - step_alpha;
  auto x0 = clean(output, x, std::sqrt(a), std::sqrt(1 - a));
  if (config_.clip_sample) x0 = x0.clamp(-config_.clip_range, config_.clip_range);
  const auto mean = x0 * (std::sqrt(a_next) * step_beta / (1 - a)) +
                    x * (std::sqrt(step_alpha) * (1 - a_next) / (1 - a));  // Ho et al. 2020, eq. 7
  if (t <= 0) return mean;
  const double posterior = std::max((1 - a_next) / (1 - a) * step_beta, 1e-20);
  return mean + noise().to(x.options()) * std::sqrt(config_.large_variance ? step_beta : posterior);
}

void DdimScheduler::plan(int64_t n_steps) {
  timesteps_ = spaced_timesteps(config_, n_steps);
}

at::Tensor DdimScheduler::advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& source) {
  const double t = timesteps_[next_];
  const auto stride = static_cast<double>(schedule_.n_steps() / n_steps_);
  const double a = alpha_bar(t), a_next = alpha_bar(t - stride);
  const double variance = (1 - a_next) / (1 - a) * (1 - a / a_next);
  const double deviation = config_.eta * std::sqrt(std::max(variance, 0.0));
  auto x0 = clean(output, x, std::sqrt(a), std::sqrt(1 - a));
  const auto eps = noise(output, x, std::sqrt(a), std::sqrt(1 - a));
  if (config_.clip_sample) x0 = x0.clamp(-config_.clip_range, config_.clip_range);
  // Song et al. 2021, eq. 12
  auto next = std::sqrt(a_next) * x0 + std::sqrt(std::max(1 - a_next - deviation * deviation, 0.0)) * eps;
  if (deviation > 0) next = next + deviation * source().to(x.options());
  return next;
}

}  // namespace t3d::diffusion
