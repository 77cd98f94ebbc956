#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/diffusion/adapter.h"
#include "t3d/diffusion/denoiser.h"
#include "t3d/diffusion/scheduler.h"

namespace t3d::diffusion {

/// Embeddings of prompts, [n,77,C]. Opens the model's tokenizer and text encoder, and lets go of both before
/// it returns. What a prompt loses behind 77 tokens is logged as a warning. `path` is what find_model
/// returned; `lora` changes the text encoder where it says so. Without `reads_weights` everything is looked
/// at but the text encoder's numbers, and the embeddings are zeros. Throws UserError for a model without
/// these parts and for prompts that are not UTF-8.
at::Tensor embed_prompts(const std::string& path, const std::vector<std::string>& prompts,
                         at::ScalarType dtype, c10::Device device, const AdapterUse& lora = {},
                         bool reads_weights = true);

struct SampleOptions {
  int64_t n_steps = 50;
  double guidance = 7.5;  ///< 1: the prompt alone. Ho and Salimans 2022, arXiv:2207.12598, eq. 6
  uint64_t seed = 0;
  int64_t latent_height = 64, latent_width = 64;
  at::Tensor camera;        ///< [V,16], one per view, for MVDream; undefined: one picture
  at::Tensor class_labels;  ///< [V,...] for both rows of guidance; undefined: none
  StopToken stop;           ///< asked between steps
};

/// From a prompt's embedding to pictures, with any denoiser.
class TextToImage {
 public:
  /// [V,C,h,w] latents -> [V,3,H,W] about [-1,1]
  using Decode = std::function<at::Tensor(const at::Tensor&)>;
  /// Steps done, of how many.
  using OnStep = std::function<void(int64_t, int64_t)>;

  TextToImage(std::shared_ptr<const Denoiser> denoiser, SchedulerConfig scheduler, Decode decode,
              c10::Device device = c10::kCPU);

  ///   text      [1,T,C] of the prompt
  ///   negative  [1,T,C] of what to move away from; not looked at when guidance is 1
  ///   returns   [V,3,H,W] float on the CPU, in [0,1]
  ///
  /// The same seed draws the same noise on every device. A stop that is asked for between steps
  /// throws Interrupted. Throws UserError when the result is not finite.
  at::Tensor operator()(const at::Tensor& text, const at::Tensor& negative, const SampleOptions& options,
                        const OnStep& on_step = nullptr) const;
  /// The latents before decoding, [V,C,h,w] float on the device.
  at::Tensor latents(const at::Tensor& text, const at::Tensor& negative, const SampleOptions& options,
                     const OnStep& on_step = nullptr) const;

 private:
  std::shared_ptr<const Denoiser> denoiser_;
  SchedulerConfig scheduler_;
  Decode decode_;
  c10::Device device_;
};

/// A whole model from disk.
struct LoadedModel {
  std::shared_ptr<const Denoiser> denoiser;
  TextToImage::Decode decode;
  SchedulerConfig scheduler;
  int64_t latent_size = 64;  ///< that the model was trained at
  int64_t reduction = 8;     ///< pixels per latent
  bool takes_cameras = false;
};

/// Opens unet, vae and scheduler of what find_model returned, in the layout of diffusers or as a single file.
/// `sampler`: a name that SchedulerConfig::from_json knows, or empty for the model's own; where that is one
/// of diffusers' that we lack, DPM-Solver++ is taken, with a warning. `lora` changes the UNet. Throws as the
/// parts do.
LoadedModel load_model(const std::string& path, const std::string& sampler, at::ScalarType dtype,
                       c10::Device device, const AdapterUse& lora = {});

}  // namespace t3d::diffusion
