#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "t3d/prior/training_loop.h"

namespace t3d::prior {

/// Training of an AutoencoderKL on captioned views. Kingma and Welling 2014; Rombach et al. 2022,
/// arXiv:2112.10752, section 3.1, without adversary and perceptual term:
///
///   loss = mean |D(z) - x| + mse_weight mean (D(z) - x)^2 + kl_weight KL(q(z|x) || N(0,1)) / pixels
struct AutoencoderTraining : LoopConfig {
  std::string part = "autoencoder";
  std::string data, val_data;
  std::vector<int> block_channels = {32, 64, 128};
  int layers_per_block = 1, norm_groups = 8, latent_channels = 4;
  int val_images = 200;
  float mse_weight = 1, kl_weight = 1e-5f;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("part", part, one_of({"autoencoder"}), "what is trained");
    v("data", data, required(), "folder of captioned views");
    v("val_data", val_data, any(), "folder to measure on; empty: the training data's last objects");
    v("block_channels", block_channels, any(), "width of each resolution; each but the first halves it");
    v("layers_per_block", layers_per_block, in_range(1, 8), "residual blocks of each");
    v("norm_groups", norm_groups, in_range(1, 64), "groups of normalisation; divides every width");
    v("latent_channels", latent_channels, in_range(1, 64), "channels of the latents");
    visit_loop(v);
    v("val_images", val_images, in_range(1, 100000), "pictures that are measured in the end");
    v("mse_weight", mse_weight, non_negative(), "of squares beside absolute differences");
    v("kl_weight", kl_weight, non_negative(), "of the divergence from the normal distribution");
  }
};

struct AutoencoderReport {
  bool finished = false;  ///< all steps done; otherwise resume goes on
  int64_t steps = 0;
  double psnr = 0;  ///< mean over pictures, dB, of the half-precision file that was written, read back
};

/// Throws UserError for a batch that so many processes cannot share. Reads nothing.
inline void check_batch(const AutoencoderTraining& config, int n_processes) {
  batch_share(config, n_processes);
}

/// Leaves FOLDER/vae/{config.json,diffusion_pytorch_model.safetensors} in diffusers' layout, half precision,
/// when all steps are done; checkpoints under FOLDER/ckpts, metrics, and FOLDER/reconstructions.png (above:
/// truth). A stop that is asked for saves and throws Interrupted.
AutoencoderReport train_autoencoder(const AutoencoderTraining& config, const TrainingRun& run);

}  // namespace t3d::prior
