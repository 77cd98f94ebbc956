#pragma once

#include <optional>

#include "t3d/data/posed_images.h"

namespace t3d::data {

/// The one colour that lies behind the scene in opaque images: renders over white or black, objects before a
/// cloth. Such images have it along 95 % of their borders, and their cameras stand outside of the scene's
/// box, so that no place in the box could show it. None for other images, and for those with transparency.
std::optional<Vec3f> find_backdrop(const PosedImages& images);

}  // namespace t3d::data
