#pragma once

#include <string>

#include "t3d/data/posed_images.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {

/// mesh.glb, mesh.obj and mesh.ply: the surface of the field in the inner cube by marching cubes, with vertex
/// colours, in the world of the input. The density at which it is cut is found by DensityThreshold; parts
/// below 2 % of the largest one are left out. resolution: samples per side of the cube. A field without a
/// surface is said in the log, gives no file, and returns false.
bool write_field_mesh(const std::string& folder, const data::PosedImages& images, NgpStepper& stepper,
                      int resolution);

}  // namespace t3d::train
