#pragma once

#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/denoiser.h"
#include "t3d/diffusion/unet_config.h"
#include "t3d/guidance/model.h"

namespace t3d::bench {

/// A model of these shapes with random weights, packed as guidance::open_model packs it.
std::shared_ptr<guidance::Model> random_model(const diffusion::UNetConfig& unet,
                                              const diffusion::AutoencoderConfig& vae,
                                              const diffusion::NoiseScheduleConfig& schedule,
                                              diffusion::Prediction prediction, at::ScalarType type,
                                              c10::Device device);

}  // namespace t3d::bench
