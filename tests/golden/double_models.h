#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/lora.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/diffusion/unet.h"

/// Small models in double precision.
namespace t3d::testing {

inline diffusion::UNet double_unet(const std::string& folder) {
  const auto weights = diffusion::Weights::from(
      diffusion::safetensors_source(folder + "/diffusion_pytorch_model.safetensors"), at::kDouble);
  diffusion::UNet unet(diffusion::read_unet_config(folder + "/config.json"), weights);
  weights.check();
  return unet;
}

inline diffusion::UNet double_mvdream(const std::string& path) {
  const auto weights = diffusion::Weights::from(diffusion::open_part(path, "unet"), at::kDouble);
  diffusion::UNet unet(diffusion::unet_config_from_json(diffusion::part_config(path, "unet"), path), weights);
  weights.check();
  return unet;
}

inline diffusion::Autoencoder double_autoencoder(const std::string& folder) {
  const auto weights = diffusion::Weights::from(
      diffusion::safetensors_source(folder + "/diffusion_pytorch_model.safetensors"), at::kDouble);
  diffusion::Autoencoder vae(diffusion::read_autoencoder_config(folder + "/config.json"), weights);
  weights.check();
  return vae;
}

inline diffusion::Autoencoder double_mvdream_autoencoder(const std::string& path) {
  const auto weights = diffusion::Weights::from(diffusion::open_part(path, "vae"), at::kDouble);
  return {diffusion::autoencoder_config_from_json(diffusion::part_config(path, "vae"), path), weights};
}

/// Low-rank weights are single precision by themselves.
inline diffusion::Lora double_lora(const std::string& path, const diffusion::UNet& unet) {
  auto lora = diffusion::Lora::load(*diffusion::safetensors_source(path),
                                    diffusion::attention_sites(unet.parameters()));
  for (const auto& entry : lora.parameters()) {
    at::Tensor shared = entry.second;
    shared.set_data(shared.to(at::kDouble));
  }
  return lora;
}

}  // namespace t3d::testing
