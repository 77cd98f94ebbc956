#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/noise_schedule.h"

namespace t3d::diffusion {

/// The keys of diffusers' scheduler_config.json that change what a sampler does; defaults differ per class.
struct SchedulerConfig {
  enum class Kind { Ddpm, Ddim, Euler, DpmSolver, Pndm };
  enum class Spacing { Leading, Linspace, Trailing };

  Kind kind = Kind::Ddim;
  NoiseScheduleConfig schedule;
  Prediction prediction = Prediction::Epsilon;
  Spacing spacing = Spacing::Leading;
  int64_t steps_offset = 0;
  bool clip_sample = false;  ///< DDPM, DDIM: the predicted clean sample is clamped
  double clip_range = 1;
  bool set_alpha_to_one = true;  ///< DDIM, PNDM: the step behind the last has no noise at all
  double eta = 0;                ///< DDIM: share of DDPM's noise, Song et al. 2021, eq. 16
  bool large_variance = false;   ///< DDPM: beta_t instead of the posterior's variance
  bool karras_sigmas = false;    ///< Euler, DPM-Solver: Karras et al. 2022, arXiv:2206.00364, eq. 5
  bool final_sigma_zero = true;  ///< Euler, DPM-Solver: else the smallest trained one
  int64_t order = 2;             ///< DPM-Solver: 1 or 2
  bool heun = false;             ///< DPM-Solver: solver_type heun instead of midpoint
  bool lower_order_final = true, euler_at_final = false;  ///< DPM-Solver: last step of first order

  /// `class_name` such as DDIMScheduler, or empty for the config's own _class_name; also the short names
  /// ddpm, ddim, euler, dpm and pndm, with which any model's config can be sampled. Keys that are unknown are
  /// passed over, as the reference does, but a key that asks for something we lack throws UserError.
  static SchedulerConfig from_json(const nlohmann::json& config, const std::string& where,
                                   const std::string& class_name = "");
  /// What training needs of the config, whatever sampler it names: the betas and what the model predicts.
  /// Throws UserError for flow matching and other ways of adding noise that have no betas.
  static SchedulerConfig for_training(const nlohmann::json& config, const std::string& where);
  static SchedulerConfig from_file(const std::string& path, const std::string& class_name = "");
};

/// Standard normal numbers, shaped like the sample; asked for only by samplers that add noise.
using NoiseSource = std::function<at::Tensor()>;

/// A sampler: it walks from noise to a sample. Timesteps need not be whole.
///
///   scheduler->start(50);
///   x = noise * scheduler->init_noise_sigma();
///   while (!scheduler->done())
///     x = scheduler->step(model(scheduler->scaled_input(x), scheduler->timestep()), x, noise_source);
class Scheduler {
 public:
  explicit Scheduler(const SchedulerConfig& config) : config_(config), schedule_(config.schedule) {}
  virtual ~Scheduler() = default;
  const SchedulerConfig& config() const { return config_; }
  const NoiseSchedule& schedule() const { return schedule_; }

  /// Begins a walk of `n_steps` steps. Throws UserError for less than 1 or more than were trained.
  void start(int64_t n_steps);
  /// One per call of the model: n_steps, for PNDM one more.
  const std::vector<double>& timesteps() const { return timesteps_; }
  /// Euler and DPM-Solver: noise over signal at each timestep and at the end; else empty.
  const std::vector<double>& sigmas() const { return sigmas_; }
  bool done() const { return next_ == timesteps_.size(); }
  double timestep() const { return timesteps_.at(next_); }
  /// The deviation of the noise to start from.
  virtual double init_noise_sigma() const { return 1; }
  /// What the model is given for x.
  virtual at::Tensor scaled_input(const at::Tensor& x) const { return x; }
  /// The model's output at timestep() for scaled_input(x) -> the next sample, in x's type.
  at::Tensor step(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise);

 protected:
  /// Fills timesteps_ and sigmas_, and forgets the walk before.
  virtual void plan(int64_t n_steps) = 0;
  virtual at::Tensor advance(const at::Tensor& output, const at::Tensor& x, const NoiseSource& noise) = 0;
  /// a_t, and 1 or the first trained one (set_alpha_to_one) for t < 0.
  double alpha_bar(double t) const;
  /// The clean sample and the noise that an output stands for, given sqrt(a_t) and sqrt(1-a_t).
  at::Tensor clean(const at::Tensor& output, const at::Tensor& x, double signal, double noise) const;
  at::Tensor noise(const at::Tensor& output, const at::Tensor& x, double signal, double noise) const;

  SchedulerConfig config_;
  NoiseSchedule schedule_;
  std::vector<double> timesteps_, sigmas_;
  size_t next_ = 0;
  int64_t n_steps_ = 0;
};

/// DDPM: Ho et al. 2020; DDIM: Song et al. 2021, arXiv:2010.02502; Euler: Karras et al. 2022, algorithm 2
/// without churn; DPM-Solver++ 2M: Lu et al. 2022, arXiv:2211.01095; PNDM: Liu et al. 2022, arXiv:2202.09778,
/// linear multi-step without Runge-Kutta start.
std::unique_ptr<Scheduler> make_scheduler(const SchedulerConfig& config);

}  // namespace t3d::diffusion
