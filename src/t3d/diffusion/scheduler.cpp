#include "t3d/diffusion/scheduler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/diffusion/scheduler_kinds.h"

namespace t3d::diffusion {

void Scheduler::start(int64_t n_steps) {
  if (n_steps < 1 || n_steps > schedule_.n_steps())
    throw UserError(cat("sampling with ", n_steps, " steps, expected 1 to ", schedule_.n_steps(),
                        ", which is what the model was trained with."));
  n_steps_ = n_steps;
  next_ = 0;
  sigmas_.clear();
  plan(n_steps);
}

at::Tensor Scheduler::step(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) {
  T3D_CHECK(!done(), "the walk of ", timesteps_.size(), " steps is over");
  T3D_CHECK(output.sizes() == x.sizes(), "output ", output.sizes(), " for ", x.sizes());
  // Half precision loses small steps.
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  auto moved = advance(output.to(type), x.to(type), noise).to(x.scalar_type());
  ++next_;
  return moved;
}

double Scheduler::alpha_bar(double t) const {
  if (t < 0) return config_.set_alpha_to_one ? 1 : schedule_.alpha_bar(0);
  return schedule_.alpha_bar(static_cast<int64_t>(t));
}

at::Tensor Scheduler::clean(const at::Tensor& output, const at::Tensor& x, double signal,
                            double noise) const {
  switch (config_.prediction) {
    case Prediction::Epsilon:
      return (x - noise * output) / signal;
    case Prediction::Velocity:
      return signal * x - noise * output;
    default:
      return output;
  }
}

at::Tensor Scheduler::noise(const at::Tensor& output, const at::Tensor& x, double signal,
                            double noise) const {
  switch (config_.prediction) {
    case Prediction::Epsilon:
      return output;
    case Prediction::Velocity:
      return signal * output + noise * x;
    default:
      return (x - signal * output) / noise;
  }
}

std::vector<double> spaced_timesteps(const SchedulerConfig& c, int64_t n) {
  using Spacing = SchedulerConfig::Spacing;
  using Kind = SchedulerConfig::Kind;
  const int64_t n_trained = c.schedule.trained_betas.empty()
                                ? c.schedule.n_steps
                                : static_cast<int64_t>(c.schedule.trained_betas.size());
  // DPM-Solver plans one timestep more and drops the last; Euler's may be fractions.
  const bool solver = c.kind == Kind::DpmSolver, euler = c.kind == Kind::Euler;
  const auto round = [](double t) { return std::nearbyint(t); };
  std::vector<double> out;
  for (int64_t i = 0; i < n; ++i) {  // from the noisiest
    double t = 0;
    if (c.spacing == Spacing::Trailing) {
      t = round(n_trained - i * (static_cast<double>(n_trained) / n)) - 1;
    } else if (c.spacing == Spacing::Leading) {
      const int64_t n_planned = solver ? n + 1 : n;
      t = static_cast<double>((n_planned - 1 - i) * (n_trained / n_planned) + c.steps_offset);
    } else {
      const int64_t n_gaps = solver ? n : n - 1;
      const double whole = static_cast<double>(n_trained - 1);
      t = n_gaps == 0 ? 0 : whole * (n_gaps - i) / n_gaps;
      // Single precision is what the reference interpolates with.
      t = euler ? static_cast<float>(t) : round(t);
    }
    out.push_back(std::clamp(t, 0.0, static_cast<double>(n_trained - 1)));
  }
  return out;
}

std::unique_ptr<Scheduler> make_scheduler(const SchedulerConfig& config) {
  switch (config.kind) {
    case SchedulerConfig::Kind::Ddpm:
      return std::make_unique<DdpmScheduler>(config);
    case SchedulerConfig::Kind::Ddim:
      return std::make_unique<DdimScheduler>(config);
    case SchedulerConfig::Kind::Euler:
      return std::make_unique<EulerScheduler>(config);
    case SchedulerConfig::Kind::DpmSolver:
      return std::make_unique<DpmSolverScheduler>(config);
    case SchedulerConfig::Kind::Pndm:
      break;
  }
  return std::make_unique<PndmScheduler>(config);
}

}  // namespace t3d::diffusion
