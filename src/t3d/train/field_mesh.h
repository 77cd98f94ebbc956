#pragma once

#include <string>

#include "t3d/data/posed_images.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {

/// mesh.glb and mesh.obj with a texture (and mesh.mtl, mesh.png), mesh.ply with vertex colours: the surface of
/// the field in the inner cube, export_::export_field, in the world of the input. resolution: samples along its
/// longest side. A field without a surface is said in the log, gives no file, and returns false.
bool write_field_mesh(const std::string& folder, const data::PosedImages& images, NgpStepper& stepper,
                      int resolution);

}  // namespace t3d::train
