#pragma once

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <string>

#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/guidance/guidance.h"

/// Small random models in the place of real ones, and what guidances are called with.
namespace t3d::testing {

/// New models are built to answer with zero: their last layers get random weights here, too.
inline void fill_zeros(const std::map<std::string, at::Tensor>& parameters) {
  const auto random = diffusion::Weights::random(9);
  for (const auto& [name, tensor] : parameters)
    if (tensor.dim() > 1 && tensor.count_nonzero().item<int64_t>() == 0)
      tensor.copy_(random.take(name, tensor.sizes().vec()));
}

/// Of the toybox's kind: velocity, a last step without signal, cameras, 4 pixels per latent. Without cameras
/// it is a small Stable Diffusion.
inline std::shared_ptr<guidance::Model> toybox_like(int64_t latent_size = 8, bool takes_cameras = true) {
  namespace ds = t3d::diffusion;
  ds::UNetConfig unet;
  unet.sample_size = latent_size;
  unet.block_channels = {16, 32};
  unet.n_heads = {2, 2};
  unet.has_attention = {true, true};
  unet.transformer_depth = {1, 1};
  unet.layers_per_block = 1;
  unet.text_channels = 12;
  unet.linear_projection = true;
  unet.norm_groups = 8;
  unet.camera_inputs = takes_cameras ? 16 : 0;
  unet.class_embedding = ds::ClassEmbedding::Identity;
  ds::AutoencoderConfig vae;
  vae.block_channels = {8, 8, 16};
  vae.layers_per_block = 1;
  vae.norm_groups = 4;
  ds::NoiseScheduleConfig schedule;
  schedule.zero_terminal_snr = true;

  auto model = std::make_shared<guidance::Model>();
  model->name = "toybox-like";
  model->unet = std::make_shared<ds::UNet>(unet, ds::Weights::random(1));
  fill_zeros(model->unet->parameters());
  model->denoiser = std::make_shared<ds::UNetDenoiser>(model->unet, ds::Prediction::Velocity);
  model->vae = std::make_shared<ds::Autoencoder>(vae, ds::Weights::random(2));
  fill_zeros(model->vae->parameters());
  model->schedule = ds::NoiseSchedule(schedule);
  model->latent_height = model->latent_width = latent_size;
  model->reduction = vae.reduction();
  model->takes_cameras = takes_cameras;
  return model;
}

/// Random embeddings that fit it.
inline guidance::PromptEmbeddings some_prompt() {
  const auto text = at::randn({6, 5, 12});
  return {text[0], text[1], text.slice(0, 2)};
}

/// Views around an object, in threestudio's order of azimuth, from the distance 1.7.
inline guidance::Views views_around(at::Tensor rgb) {
  const int64_t n = rgb.size(0);
  guidance::Views views;
  views.rgb = std::move(rgb);
  views.angles.elevation_deg = at::full({n}, 15.0f);
  views.angles.azimuth_deg = at::arange(n).to(at::kFloat) * (360.0 / static_cast<double>(n)) - 180;
  views.camera_to_world = diffusion::orbit_cameras(n, 15, -90).reshape({n, 4, 4}).contiguous();
  views.camera_to_world.select(2, 3).slice(1, 0, 3).mul_(1.7);
  views.mvp = at::randn({n, 4, 4});
  return views;
}

}  // namespace t3d::testing
