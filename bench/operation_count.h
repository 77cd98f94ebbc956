#pragma once

#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/unet_config.h"

namespace t3d::bench {

/// Floating-point operations of one call, a multiply-add counted as two; norms and activations left out.
struct OperationCount {
  double convolution = 0, matrix = 0, attention = 0;
  double total() const { return convolution + matrix + attention; }
};

/// A UNet for `n` latents of side x side, asked with `tokens` tokens of text; attention goes over `views` of
/// them together.
OperationCount count_unet(const diffusion::UNetConfig& config, double n, double side, double tokens,
                          double views);

/// The autoencoder's encoder for `n` pictures of side x side. A backward pass for the picture alone, with
/// fixed weights, takes as many again.
OperationCount count_encoder(const diffusion::AutoencoderConfig& config, double n, double side);

/// The decoder to `n` pictures of side x side.
OperationCount count_decoder(const diffusion::AutoencoderConfig& config, double n, double side);

}  // namespace t3d::bench
