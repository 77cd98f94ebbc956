#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace t3d::shading {

/// The second factor of the split sum, Karis 2013: what part of even light a rough mirror returns, F0 x + y.
/// [n,n,2] float: row = roughness, column = cosine between normal and view, both at the middle of their cell.
/// GGX with Smith's masking of each direction by itself, alpha = roughness^2 (math/ggx.h).
at::Tensor fg_table(int64_t n);

/// The same out of a file of 256x256x2 floats, as threestudio's load/lights/bsdf_256_256.bin. Throws
/// SystemError where it cannot be read and UserError for another size.
at::Tensor read_fg_table(const std::string& path);

}  // namespace t3d::shading
