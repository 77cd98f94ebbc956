#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "t3d/core/rng.h"
#include "t3d/diffusion/noise_schedule.h"

/// Pictures of what a guidance sees at the timestep of a batch: threestudio's guidance_eval.
namespace t3d::guidance {

/// Some rows of a batch. All pictures [n,H,W,3] float in [0,1] on the CPU.
struct GuidancePictures {
  at::Tensor rendered;  ///< what the guidance was given
  at::Tensor noisy;     ///< x_t
  at::Tensor one_step;  ///< behind the first step of a sampler from there
  at::Tensor clean;     ///< x_0 as the guided prediction at x_t has it
  at::Tensor denoised;  ///< at the end of the sampler's walk
  /// t as a share of all timesteps, of each row.
  std::vector<double> noise_level;
};

/// The noise that a guided denoiser finds in x_t [n,C,s,s] at t [n] int64.
using NoiseAt = std::function<at::Tensor(const at::Tensor& noisy, const at::Tensor& t)>;

/// Latents [n,C,s,s] on a sampler's walk from the middle of the noise.
struct Denoised {
  at::Tensor one_step, clean, last;
};

/// Walks from x_t down the evenly spaced timesteps below t, of which there are `n_steps` in the whole range:
/// DDIM with all of DDPM's noise, Song et al. 2021, arXiv:2010.02502, eq. 12 and 16, eta 1.
///
///   noisy  [n,C,s,s] at one timestep t, 0 <= t < schedule.n_steps()
///
/// Draws from `rng` once a step. Cost: one call of `noise_at` and one more for each step below t.
Denoised denoise_from(const at::Tensor& noisy, int64_t t, const diffusion::NoiseSchedule& schedule,
                      const NoiseAt& noise_at, Rng& rng, int64_t n_steps = 50);

}  // namespace t3d::guidance
