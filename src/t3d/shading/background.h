#pragma once

#include <memory>

#include "t3d/core/registry.h"
#include "t3d/core/rng.h"
#include "t3d/field/component.h"

namespace t3d::shading {

/// What a ray sees behind everything: threestudio's system.background.
class Background : public field::Component {
 public:
  /// directions [B,H,W,3], unit. Returns [B,H,W,C]. In training the random augmentations draw from `rng`.
  virtual at::Tensor operator()(const at::Tensor& directions, bool is_training, Rng& rng) const = 0;
};

/// The table of backgrounds by `system.background_type`.
using BackgroundRegistry = Registry<Background, const field::BuildContext&>;
BackgroundRegistry& backgrounds();

}  // namespace t3d::shading
