#pragma once

#include <vector>

#include "t3d/data/posed_images.h"
#include "t3d/field/ngp_model.h"

namespace t3d::train {

/// The state before the first step, the same for every device: fresh weights, and an occupancy grid in which
/// the cells that can hold nothing are -1 for good: those that no camera sees, those right in front of a
/// camera, and those outside the visual hull (carve_visual_hull). All other bits are set.
field::NgpState make_initial_state(const field::NgpConfig& config, const std::vector<data::View>& views,
                                   float aabb_scale, uint64_t seed);

/// Sets to -1 every cell that some image with transparency shows as empty: the cell's whole footprint lies on
/// pixels of alpha 0. Laurentini 1994, The visual hull concept, https://doi.org/10.1109/34.273735. Images
/// without such pixels say nothing. density [n_cascades*128^3] in Morton order.
void carve_visual_hull(const std::vector<data::View>& views, int n_cascades, float* density);

}  // namespace t3d::train
