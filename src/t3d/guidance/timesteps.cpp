#include "t3d/guidance/timesteps.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::guidance {
namespace {

/// Memory that a CUDA device can copy from while the host goes on.
at::Tensor to_device(const at::Tensor& host, c10::Device device) {
  if (device.is_cpu()) return host;
  return host.pin_memory().to(device, host.scalar_type(), /*non_blocking=*/true);
}

}  // namespace

Timesteps Timesteps::of(std::vector<int64_t> steps, c10::Device device) {
  auto host = at::empty({static_cast<int64_t>(steps.size())}, at::kLong);
  std::copy(steps.begin(), steps.end(), host.data_ptr<int64_t>());
  return {std::move(steps), to_device(host, device)};
}

StepRange::StepRange(const Rules& rules, int64_t n_steps) : rules_(rules), n_steps_(n_steps) {
  set(0.02, 0.98);  // before the first update, as the reference has it
}

void StepRange::set(double low, double high) {
  const auto n = static_cast<double>(n_steps_);
  min_ = static_cast<int64_t>(n * low);
  max_ = static_cast<int64_t>(n * high);
}

void StepRange::update(int64_t step) {
  const double low = rules_.min_percent.at(step);
  double high = rules_.max_percent.at(step);
  if (rules_.sqrt_anneal) {
    const config::Node& node = rules_.max_percent.node();
    if (node.is_list()) high = config::Schedule(node.list()[1]).at(0);
    const double q = std::sqrt(static_cast<double>(step) / static_cast<double>(rules_.trainer_max_steps));
    set((high - low) * (1 - q) + low, (high - low) * (1 - q) + low);
  } else {
    set(low, high);
  }
  if (min_ < 0 || max_ < min_ || max_ >= n_steps_)
    throw UserError(cat("guidance: at step ", step, " timesteps are to be drawn from ", min_, " to ", max_,
                        ", expected a range within 0 to ", n_steps_ - 1,
                        ". Change min_step_percent, max_step_percent or trainer_max_steps."));
}

Timesteps StepRange::draw(int64_t n, Rng& rng, c10::Device device) const {
  std::vector<int64_t> steps;
  for (int64_t i = 0; i < n; ++i) steps.push_back(min_ + rng.below(static_cast<uint32_t>(max_ - min_ + 1)));
  return Timesteps::of(std::move(steps), device);
}

at::Tensor draw_normal(at::IntArrayRef sizes, Rng& rng, c10::Device device) {
  const uint64_t high = rng.next_u32(), seed = high << 32 | rng.next_u32();
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return to_device(at::randn(sizes, generator, at::TensorOptions().dtype(at::kFloat)), device);
}

}  // namespace t3d::guidance
