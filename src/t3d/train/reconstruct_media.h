#pragma once

#include <string>

#include "t3d/train/ngp_trainer.h"

namespace t3d::train {

/// PNG: rendered, truth, and five times their absolute difference, side by side.
void write_comparison(const std::string& path, const NgpTestView& view);
/// PNG: distance in false colours, from the nearest to the farthest opaque pixel.
void write_depth(const std::string& path, const NgpView& view);

}  // namespace t3d::train
