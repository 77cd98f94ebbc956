#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "t3d/diffusion/unet_config.h"
#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// Shape and start of one tensor of a model.
struct TensorPlan {
  std::vector<int64_t> shape;
  Init init = Init::FanIn;
};
using TensorTable = std::map<std::string, TensorPlan>;

/// Names and shapes in diffusers' layout, without building the modules.
TensorTable unet_tensors(const UNetConfig& config);

struct VaeShape {
  std::vector<int64_t> channels{128, 256, 512, 512};
  int64_t layers = 2, latents = 4, images = 3;
};
TensorTable vae_tensors(const VaeShape& shape);

struct TextShape {
  int64_t width = 768, inner = 3072, n_layers = 12, n_words = 49408, n_places = 77;
};
TensorTable text_tensors(const TextShape& shape);

}  // namespace t3d::diffusion
