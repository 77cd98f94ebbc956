#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::prior {

/// Pictures as they might have come from elsewhere: nearer, farther, shifted, turned a little, mirrored,
/// softer or sharper, brighter or darker, noisy. Each picture its own way. What a caption tells (kinds,
/// colours, patterns, sizes) stays as it is.
///
///   pictures  [B,3,R,R] float in [-1,1] before backgrounds of one grey each
///   grey      [B] float in [0,1] on the same device
///   strength  0: nothing changes; 1: what suits samples of small diffusion models and renders of fields
///   returns   [B,3,R,R] float in [-1,1]
///
/// Draws from the default generator of the pictures' device.
at::Tensor augment(const at::Tensor& pictures, const at::Tensor& grey, double strength);

}  // namespace t3d::prior
