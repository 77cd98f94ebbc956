#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "t3d/diffusion/denoiser.h"
#include "t3d/diffusion/noise_schedule.h"

namespace t3d::diffusion {
class Autoencoder;
class UNet;
}  // namespace t3d::diffusion

namespace t3d::guidance {

/// What guidance asks of a diffusion model. Filled from disk by open_model, or by hand in tests, where a
/// closed-form denoiser takes the UNet's place.
struct Model {
  std::string name;  ///< for messages
  std::shared_ptr<const diffusion::Denoiser> denoiser;
  std::shared_ptr<const diffusion::UNet> unet;        ///< what LoRA is added to; null: no UNet
  std::shared_ptr<const diffusion::Autoencoder> vae;  ///< null: the model knows latents only
  diffusion::NoiseSchedule schedule;                  ///< on `device`
  int64_t latent_height = 64, latent_width = 64;      ///< that it was trained at
  int64_t reduction = 8;                              ///< pixels per latent
  bool takes_cameras = false;
  c10::Device device = c10::kCPU;

  int64_t image_height() const { return latent_height * reduction; }
  int64_t image_width() const { return latent_width * reduction; }
};

/// How a model is opened.
struct ModelRequest {
  std::string name;            ///< a path, or a name that diffusion::find_model knows
  bool half_precision = true;  ///< float16 on CUDA; on the CPU see `cpu_bfloat16`
  bool cpu_bfloat16 = false;   ///< UNet activations in bfloat16 where there is no CUDA
  bool with_vae = true;        ///< false: denoiser and schedule alone
  bool reads_weights = true;   ///< false: names and shapes alone, see diffusion::shape_source
  c10::Device device = c10::kCPU;
};

/// Opens UNet, autoencoder and noise schedule. Throws what diffusion::load_model throws.
std::shared_ptr<const Model> open_model(const ModelRequest& request);

/// Where guidances get their models from: open_model, or a stand-in.
using ModelOpener = std::function<std::shared_ptr<const Model>(const ModelRequest&)>;

}  // namespace t3d::guidance
