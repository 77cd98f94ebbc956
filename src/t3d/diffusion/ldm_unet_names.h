#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::diffusion {

/// The number at the front of `text`, which is taken off with the dot behind it; -1 when there is none.
int64_t take_number(std::string& text);

/// Residual blocks per level of a UNet in ldm naming, from its tensors' names: one less than the first input
/// block that halves the size. 0 when there is none (one level, or not such a UNet).
int64_t ldm_unet_layers(const std::vector<std::string>& names, const std::string& prefix);

/// diffusers' name for a UNet tensor in ldm naming ("input_blocks.1.0.in_layers.0.weight", without
/// "model.diffusion_model."), or an empty string for a name that is none. MVDream's camera_embed becomes
/// camera_embedding. No tensor changes: layouts are equal, except that 1x1 convolutions may be linear layers.
std::string ldm_unet_name(const std::string& name, int64_t layers_per_block);

/// The other way: the names in ldm naming that the layer of a diffusers name
/// ("down_blocks.0.resnets.1.conv1") can have, mostly one. `layers_per_block` as diffusers_unet_layers
/// counts.
std::vector<std::string> ldm_names_of(const std::string& layer, int64_t layers_per_block);

/// Residual blocks per level of a UNet in diffusers' naming.
int64_t diffusers_unet_layers(const std::vector<std::string>& names);

}  // namespace t3d::diffusion
