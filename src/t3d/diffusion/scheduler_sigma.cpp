#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "t3d/diffusion/scheduler_kinds.h"

namespace t3d::diffusion {

SigmaScheduler::SigmaScheduler(const SchedulerConfig& config) : Scheduler(config) {
  const int64_t n = schedule_.n_steps();
  for (int64_t t = 0; t < n; ++t) {
    double a = schedule_.alpha_bar(t);
    // No signal at all would be an infinite sigma; the reference's stand-in is the same.
    if (config.schedule.zero_terminal_snr && t + 1 == n) a = std::ldexp(1.0, -24);
    trained_.push_back(std::sqrt((1 - a) / a));
  }
}

double SigmaScheduler::sigma_at(double timestep) const {
  const auto low = static_cast<size_t>(timestep);
  const size_t high = std::min(low + 1, trained_.size() - 1);
  const double share = timestep - static_cast<double>(low);
  return trained_[low] + share * (trained_[high] - trained_[low]);
}

double SigmaScheduler::timestep_at(double sigma) const {
  const double wanted = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(trained_.begin(), trained_.end(), sigma);
  const auto n = static_cast<int64_t>(trained_.size());
  const int64_t low = std::clamp<int64_t>(above - trained_.begin() - 1, 0, n - 2);
  const double a = std::log(trained_[low]), b = std::log(trained_[low + 1]);
  return static_cast<double>(low) + std::clamp((a - wanted) / (a - b), 0.0, 1.0);
}

void SigmaScheduler::plan_karras(double high, double low, int64_t n) {
  constexpr double kRho = 7;
  const double from = std::pow(high, 1 / kRho), to = std::pow(low, 1 / kRho);
  sigmas_.clear();
  timesteps_.clear();
  for (int64_t i = 0; i < n; ++i) {
    const double share = n == 1 ? 0 : static_cast<double>(i) / static_cast<double>(n - 1);
    sigmas_.push_back(std::pow(from + share * (to - from), kRho));
    timesteps_.push_back(timestep_at(sigmas_.back()));
  }
}

void SigmaScheduler::append_final_sigma() {
  sigmas_.push_back(config_.final_sigma_zero ? 0 : trained_.front());
}

void EulerScheduler::plan(int64_t n_steps) {
  timesteps_ = spaced_timesteps(config_, n_steps);
  for (const double t : timesteps_) sigmas_.push_back(sigma_at(t));
  if (config_.karras_sigmas) plan_karras(sigmas_.front(), sigmas_.back(), n_steps);
  append_final_sigma();
}

double EulerScheduler::init_noise_sigma() const {
  const double high = sigmas_.empty() ? trained_.back() : *std::max_element(sigmas_.begin(), sigmas_.end());
  return config_.spacing == SchedulerConfig::Spacing::Leading ? std::sqrt(high * high + 1) : high;
}

at::Tensor EulerScheduler::scaled_input(const at::Tensor& x) const {
  const double sigma = sigmas_.at(next_);
  return x / std::sqrt(sigma * sigma + 1);
}

at::Tensor EulerScheduler::advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource&) {
  // x = x_0 + sigma noise; the model's input is x / sqrt(sigma^2 + 1).
  const double sigma = sigmas_[next_], length = std::sqrt(sigma * sigma + 1);
  const auto x0 = clean(output, x / length, 1 / length, sigma / length);
  return x + (x - x0) * ((sigmas_[next_ + 1] - sigma) / sigma);
}

void DpmSolverScheduler::plan(int64_t n_steps) {
  timesteps_ = spaced_timesteps(config_, n_steps);
  for (const double t : timesteps_) sigmas_.push_back(sigma_at(t));
  if (config_.karras_sigmas) {
    plan_karras(trained_.back(), trained_.front(), n_steps);
    for (double& t : timesteps_) t = std::nearbyint(t);
  }
  append_final_sigma();
  previous_ = at::Tensor();
}

at::Tensor DpmSolverScheduler::advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource&) {
  struct Point {
    double signal, noise, lambda;  // lambda = log(signal / noise)
  };
  const auto at_sigma = [](double sigma) {
    const double signal = 1 / std::sqrt(sigma * sigma + 1);
    return Point{signal, sigma * signal,
                 sigma > 0 ? -std::log(sigma) : std::numeric_limits<double>::infinity()};
  };
  const Point now = at_sigma(sigmas_[next_]), next = at_sigma(sigmas_[next_ + 1]);
  const auto n = timesteps_.size();
  const bool is_last = next_ + 1 == n;
  const bool first_order = config_.order == 1 || !previous_.defined() ||
                           (is_last && (config_.euler_at_final || config_.final_sigma_zero ||
                                        (config_.lower_order_final && n < 15)));
  const auto x0 = clean(output, x, now.signal, now.noise);
  const double h = next.lambda - now.lambda, shrink = std::exp(-h) - 1;
  auto moved = x * (next.noise / now.noise) - x0 * (next.signal * shrink);  // Lu et al. 2022, eq. 9
  if (!first_order) {
    const double r = (now.lambda + std::log(sigmas_[next_ - 1])) / h;
    const auto slope = (x0 - previous_) / r;
    moved = config_.heun ? moved + slope * (next.signal * (shrink / h + 1))
                         : moved - slope * (0.5 * next.signal * shrink);
  }
  previous_ = x0;
  return moved;
}

}  // namespace t3d::diffusion
