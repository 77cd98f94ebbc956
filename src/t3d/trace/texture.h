#pragma once

#include "t3d/io/image.h"
#include "t3d/io/material.h"

namespace t3d::trace {

/// A texture's value where the slot puts (u, v): RGBA in [0,1]; `uv` need not be finite. With `is_srgb` the
/// colour is made linear before filtering; alpha is linear always.
Vec4f sample_texture(const io::Image8& texture, const io::TextureSlot& slot, const Vec2f& uv, bool is_srgb);

}  // namespace t3d::trace
