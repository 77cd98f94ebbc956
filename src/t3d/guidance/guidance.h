#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/core/rng.h"
#include "t3d/guidance/model.h"
#include "t3d/guidance/prompt_embeddings.h"

namespace t3d::guidance {

using NamedTensors = std::map<std::string, at::Tensor>;
struct GuidancePictures;

/// What every guidance and prompt processor is built with.
struct GuidanceContext {
  uint64_t seed = 0;  ///< decides the first values of what is trained (LoRA, camera embedding)
  c10::Device device = c10::kCPU;
  ModelOpener open = open_model;
  bool reads_weights =
      true;  ///< false: all that is wrong with models and prompts is found, but nothing works
};

/// Rendered pictures and the cameras that saw them, row by row. The rows of one object's views are adjacent.
struct Views {
  at::Tensor rgb;              ///< [B,H,W,3] in [0,1], or latents [B,h,w,4]; carries the graph
  bool is_latent = false;      ///< threestudio's rgb_as_latents: `rgb` holds latents
  ViewAngles angles;           ///< where the cameras stand, on the CPU
  at::Tensor camera_to_world;  ///< [B,4,4] float, OpenGL axes, z up (docs/conventions.md); any device
  at::Tensor mvp;  ///< [B,4,4] float; needed where camera_condition_type is mvp, else may be undefined
};

/// One call's result.
struct GuidanceOutput {
  /// By threestudio's names, "loss_sds": scalars with a graph, to be weighted by "lambda_sds" and summed.
  NamedTensors losses;
  /// "grad_norm", "min_step", "max_step": scalars without a graph, to be logged. Reading one that lies on a
  /// CUDA device waits for it.
  NamedTensors metrics;
};

/// Turns pictures into a loss whose gradient moves them towards a prompt: threestudio's system.guidance.
/// Denoisers run without gradients; the gradient reaches the pictures through the autoencoder.
class Guidance {
 public:
  virtual ~Guidance() = default;

  /// Draws timesteps and noise from `rng`, the same on every device, and nothing else random. Never waits for
  /// the device. Throws UserError for pictures that do not fit the model.
  virtual GuidanceOutput operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) = 0;

  /// What the guidance sees of a batch's first rows, in pictures: with the timesteps and noise that a call
  /// with the same `rng` would draw, and further draws for the sampler behind them. Changes nothing. Throws
  /// UserError where latents cannot be shown. Cost: up to 51 denoiser calls an object, at batch 2 n_views.
  virtual GuidancePictures evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const;

  /// Called before every batch: schedules of the timestep range and of gradient clipping.
  virtual void update_step(int64_t step);

  /// Adds what is trained together with the scene (LoRA, camera embedding) under `prefix` ("guidance.").
  /// Nothing by default. The tensors are shared, not copied; the losses carry their gradients.
  virtual void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const;

  /// [B,h,w,C] scaled latents -> [B,H,W,3] in [0,1], without a graph: what systems that render latents show.
  /// UserError by default: no autoencoder.
  virtual at::Tensor decode(const at::Tensor& latents) const;

  /// Rows of `Views` that are views of one object; B must be a multiple of it. 1: rows are independent.
  virtual int64_t n_views() const { return 1; }
  /// BugError by default: no diffusion model.
  virtual const Model& model() const;
};

/// The table of guidances by `system.guidance_type`.
using GuidanceRegistry = Registry<Guidance, const GuidanceContext&>;
GuidanceRegistry& guidances();

/// The losses that a guidance of this type and block gives, without "loss_": each needs a weight
/// system.loss.lambda_NAME. A user's own type says them by `static std::vector<std::string> loss_names(const
/// Config&)`. Empty for one that doesn't, and for an unknown type.
std::vector<std::string> loss_names(const std::string& type, const config::Node& block);

}  // namespace t3d::guidance
