#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::diffusion {

/// Residual blocks per level of a UNet in ldm naming, from its tensors' names: one less than the first input
/// block that halves the size. 0 when there is none (one level, or not such a UNet).
int64_t ldm_unet_layers(const std::vector<std::string>& names, const std::string& prefix);

/// diffusers' name for a UNet tensor in ldm naming ("input_blocks.1.0.in_layers.0.weight", without
/// "model.diffusion_model."), or an empty string for a name that is none. MVDream's camera_embed becomes
/// camera_embedding. No tensor changes: layouts are equal, except that 1x1 convolutions may be linear layers.
std::string ldm_unet_name(const std::string& name, int64_t layers_per_block);

}  // namespace t3d::diffusion
