#pragma once

#include "t3d/raster/texture.h"

namespace t3d::raster {

/// texture(), written plainly: every texel of every level is weighed by how far it is from the place, and
/// autograd does the derivatives. For small textures, in tests.
at::Tensor texture_reference(const at::Tensor& tex, const at::Tensor& uv, const TextureOptions& options = {},
                             const at::Tensor& uv_da = {}, const at::Tensor& mip_level_bias = {},
                             const std::vector<at::Tensor>& mips = {});

}  // namespace t3d::raster
