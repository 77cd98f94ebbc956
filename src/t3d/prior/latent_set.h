#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/prior/text_tokens.h"

namespace t3d::prior {

/// A batch of noise-free latents with what the networks are told about them, on the device.
struct LatentBatch {
  at::Tensor latents;    ///< [B,C,h,w] float, scaled
  at::Tensor noise;      ///< [B,C,h,w] float, standard normal
  at::Tensor timesteps;  ///< [B] int64; views of an object share one
  at::Tensor text_rows;  ///< [objects,L] int64
  at::Tensor camera;     ///< [B,16], or undefined: not told
};

/// Which objects of a folder a set holds, and how it sees them.
struct LatentPlan {
  int64_t n_views = 4, n_backgrounds = 4;
  uint64_t seed = 0;
  int64_t part = 0, n_parts = 1;  ///< as ViewSet takes them
  RunControl control = {};
};

/// How batches are drawn.
struct BatchMix {
  int64_t n_pictures, n_views = 4, n_timesteps = 1000;
  float single_view_share = 0, camera_dropout = 0, caption_dropout = 0;
};

/// Captioned views as latents of an autoencoder, on the device. Each object is encoded once, with one sample
/// of its posterior, before each of `n_backgrounds` uniform greys in [0.35, 1]: the encoder, which costs as
/// much as a training step of a small UNet, is out of the loop. 8 KB for a view and background at 32x32x4.
class LatentSet {
 public:
  /// A function of the files and the seed. Throws as ViewSet does, and UserError for objects with fewer than
  /// `n_views` views.
  LatentSet(const std::string& folder, const std::string& tokenizer, const diffusion::Autoencoder& vae,
            const LatentPlan& plan, c10::Device device);

  int64_t n_objects() const { return latents_.size(1); }
  /// Latents along an edge.
  int64_t latent_size() const { return latents_.size(4); }
  /// A function of mix, seed and draw.
  LatentBatch draw(const BatchMix& mix, uint64_t seed, int64_t draw) const;

 private:
  TokenTable table_;
  at::Tensor latents_;  // [backgrounds,N,V,C,h,w] half, scaled
  at::Tensor cameras_;  // [N V,16]
  c10::Device device_;
};

}  // namespace t3d::prior
