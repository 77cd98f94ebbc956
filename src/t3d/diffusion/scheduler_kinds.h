#pragma once

#include <vector>

#include "t3d/diffusion/scheduler.h"

/// The samplers behind make_scheduler.
namespace t3d::diffusion {

class DdpmScheduler : public Scheduler {
 public:
  using Scheduler::Scheduler;

 protected:
  void plan(int64_t n_steps) override;
  at::Tensor advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) override;
};

class DdimScheduler : public Scheduler {
 public:
  using Scheduler::Scheduler;

 protected:
  void plan(int64_t n_steps) override;
  at::Tensor advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) override;
};

class PndmScheduler : public Scheduler {
 public:
  using Scheduler::Scheduler;

 protected:
  void plan(int64_t n_steps) override;
  at::Tensor advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) override;

 private:
  std::vector<at::Tensor> outputs_;  // the last four, newest last
  at::Tensor first_sample_;
};

/// Samplers in sigma = noise / signal.
class SigmaScheduler : public Scheduler {
 public:
  explicit SigmaScheduler(const SchedulerConfig& config);

 protected:
  double sigma_at(double timestep) const;
  double timestep_at(double sigma) const;
  /// `n` sigmas from `high` to `low`, and their timesteps.
  void plan_karras(double high, double low, int64_t n);
  void append_final_sigma();

  std::vector<double> trained_;  // by timestep
};

class EulerScheduler : public SigmaScheduler {
 public:
  using SigmaScheduler::SigmaScheduler;
  double init_noise_sigma() const override;
  at::Tensor scaled_input(const at::Tensor& x) const override;

 protected:
  void plan(int64_t n_steps) override;
  at::Tensor advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) override;
};

class DpmSolverScheduler : public SigmaScheduler {
 public:
  using SigmaScheduler::SigmaScheduler;

 protected:
  void plan(int64_t n_steps) override;
  at::Tensor advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) override;

 private:
  at::Tensor previous_;  // the clean sample of the step before
};

/// Timesteps in the order of use, by diffusers' rules for each spacing.
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int64_t n_steps);

}  // namespace t3d::diffusion
