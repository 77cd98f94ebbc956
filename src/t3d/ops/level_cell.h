#pragma once

#include "t3d/core/rng.h"

/// Which cell of a level of OccupancyGrid holds a point: one rule for the march on the CPU, the tensor
/// operations on CUDA, and the tests. No torch header.
namespace t3d::ops {

/// Cell 0..side-1 of a coordinate in low .. low+size. Divided and multiplied in nerfacc's order: a point that
/// lies on a wall by its decimals (0.3 with 20 cells over -1..1) is in the cell above it only so. In tensor
/// operations: ((x - low) / size * side).clamp(0, side - 1).
T3D_HOST_DEVICE inline int level_coordinate(float x, float low, float size, int side) {
  const float place = (x - low) / size * static_cast<float>(side);
  return !(place > 0.0f) ? 0 : place >= static_cast<float>(side) ? side - 1 : static_cast<int>(place);
}

}  // namespace t3d::ops
