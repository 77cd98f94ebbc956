#include "bench/random_model.h"

#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/unet_denoiser.h"

namespace t3d::bench {

namespace ds = diffusion;

std::shared_ptr<guidance::Model> random_model(const ds::UNetConfig& unet_config,
                                              const ds::AutoencoderConfig& vae_config,
                                              const ds::NoiseScheduleConfig& schedule,
                                              ds::Prediction prediction, at::ScalarType type,
                                              c10::Device device) {
  auto model = std::make_shared<guidance::Model>();
  model->name = "random weights";
  const auto unet = std::make_shared<ds::UNet>(unet_config, ds::Weights::random(1, type, device));
  unet->pack();
  const auto vae = std::make_shared<ds::Autoencoder>(vae_config, ds::Weights::random(2, type, device));
  vae->pack();
  model->unet = unet;
  model->denoiser = std::make_shared<ds::UNetDenoiser>(unet, prediction);
  model->vae = vae;
  model->schedule = ds::NoiseSchedule(schedule).to(device);
  model->latent_height = model->latent_width = unet_config.sample_size;
  model->reduction = vae_config.reduction();
  model->takes_cameras = unet_config.camera_inputs > 0;
  model->device = device;
  return model;
}

}  // namespace t3d::bench
