#include <ATen/ATen.h>

#include <cmath>

#include "t3d/diffusion/scheduler_kinds.h"

namespace t3d::diffusion {

void PndmScheduler::plan(int64_t n_steps) {
  timesteps_ = spaced_timesteps(config_, n_steps);
  // The first step is taken twice, the second time with the mean slope: Heun's rule starts the multi-step.
  if (timesteps_.size() > 1) timesteps_.insert(timesteps_.begin() + 1, timesteps_[1]);
  outputs_.clear();
  first_sample_ = at::Tensor();
}

at::Tensor PndmScheduler::advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource&) {
  const auto stride = static_cast<double>(schedule_.n_steps() / n_steps_);
  const bool repeats = next_ == 1;
  const double t = repeats ? timesteps_[1] + stride : timesteps_[next_];
  const double t_next = t - stride;
  at::Tensor from = x, slope = output;
  if (next_ == 0) first_sample_ = x;
  if (repeats) {
    slope = (output + outputs_.back()) / 2;
    from = first_sample_;
    first_sample_ = at::Tensor();
  } else {
    outputs_.push_back(output);
    if (outputs_.size() > 4) outputs_.erase(outputs_.begin());
    const auto back = [this](size_t i) { return outputs_[outputs_.size() - i]; };  // Adams-Bashforth
    if (outputs_.size() == 2) slope = (3 * back(1) - back(2)) / 2;
    if (outputs_.size() == 3) slope = (23 * back(1) - 16 * back(2) + 5 * back(3)) / 12;
    if (outputs_.size() == 4) slope = (55 * back(1) - 59 * back(2) + 37 * back(3) - 9 * back(4)) / 24;
  }
  const double a = alpha_bar(t), a_next = alpha_bar(t_next);
  const auto eps = noise(slope, from, std::sqrt(a), std::sqrt(1 - a));
  // Liu et al. 2022, eq. 11
  const double divisor = a * std::sqrt(1 - a_next) + std::sqrt(a * (1 - a) * a_next);
  return std::sqrt(a_next / a) * from - eps * ((a_next - a) / divisor);
}

}  // namespace t3d::diffusion
