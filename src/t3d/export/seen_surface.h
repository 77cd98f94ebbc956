#pragma once

#include <vector>

#include "t3d/export/marching_cubes.h"

namespace t3d::export_ {

/// The opacity between each sample and the outside, as it is seen: light comes in along the 26 directions to
/// a sample's neighbours, straight, and is absorbed by the densities on its way; the third clearest of them
/// counts, so that a leak along one line does not carve a tunnel. Outside it is near 0 and inside near 1,
/// also where the field is hollow, and its level set at 1 - exp(-kSurfaceDepth) is where rays see a surface.
///
/// Densities may be changed first: what lies on most of the border is taken away (haze), and a field that is
/// translucent as a whole is made denser.
std::vector<float> seen_opacity(std::vector<float> densities, const SampleGrid& grid);

/// Of the surface: from both sides together half of the light is absorbed, so that a thin part is there where
/// rays through it see more of it than of what is behind.
constexpr float kSurfaceDepth = 0.3465736f;

}  // namespace t3d::export_
