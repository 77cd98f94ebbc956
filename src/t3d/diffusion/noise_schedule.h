#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace t3d::diffusion {

/// What a denoiser's output is, for x_t = sqrt(a_t) x_0 + sqrt(1-a_t) noise.
enum class Prediction {
  Epsilon,   ///< the noise
  Velocity,  ///< sqrt(a_t) noise - sqrt(1-a_t) x_0: Salimans and Ho 2022, arXiv:2202.00512
  Sample,    ///< x_0
};

/// "epsilon", "v_prediction", "sample". Throws UserError for another word.
Prediction prediction_of(const std::string& name, const std::string& where);
const char* name_of(Prediction prediction);

struct NoiseScheduleConfig {
  int64_t n_steps = 1000;
  double beta_start = 0.00085, beta_end = 0.012;
  std::string beta_schedule = "scaled_linear";  ///< or linear, squaredcos_cap_v2, sigmoid
  std::vector<double> trained_betas;            ///< when there are any, they are the betas
  /// Betas changed so that the last step has no signal: Lin et al. 2023, arXiv:2305.08891, algorithm 1.
  bool zero_terminal_snr = false;
};

/// The forward process that a denoiser was trained on. Ho et al. 2020, arXiv:2006.11239.
class NoiseSchedule {
 public:
  /// Stable Diffusion's schedule by default. Throws UserError for a schedule that is none.
  explicit NoiseSchedule(const NoiseScheduleConfig& config = {});

  int64_t n_steps() const { return betas_.size(0); }
  /// [N] float, on the schedule's device; a_t is the product of 1 - beta up to and with t.
  const at::Tensor& betas() const { return betas_; }
  const at::Tensor& alphas_cumprod() const { return alphas_cumprod_; }
  /// a_t as a number; 0 <= t < n_steps().
  double alpha_bar(int64_t t) const { return alpha_bar_[static_cast<size_t>(t)]; }
  /// The same schedule with its tensors there.
  NoiseSchedule to(c10::Device device) const;

  // In all of these x, noise, output are [B,...] of any float type, t is [B] or [1] int64, 0 <= t <
  // n_steps(), on the schedule's device; answers are in the first tensor's type. Nothing waits for the
  // device.

  at::Tensor add_noise(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t) const;
  at::Tensor velocity(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t) const;
  /// The noise, and the clean sample, that a denoiser's output at x_t stands for. Not clipped.
  at::Tensor noise_of(const at::Tensor& output, const at::Tensor& x_t, const at::Tensor& t,
                      Prediction prediction) const;
  at::Tensor clean_of(const at::Tensor& output, const at::Tensor& x_t, const at::Tensor& t,
                      Prediction prediction) const;

 private:
  struct Mix {
    at::Tensor signal, noise;  // sqrt(a_t), sqrt(1-a_t), [B,1,...]
  };
  Mix weights_at(const at::Tensor& t, const at::Tensor& like) const;

  at::Tensor betas_, alphas_cumprod_;
  std::vector<double> alpha_bar_;
};

}  // namespace t3d::diffusion
