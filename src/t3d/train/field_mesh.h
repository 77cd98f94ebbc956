#pragma once

#include <string>
#include <vector>

#include "t3d/data/posed_images.h"
#include "t3d/export/export_mesh.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {

/// The surface of the field in the inner cube as files, export_::export_mesh, in the world of the input. Of
/// the options count the formats, the texture's and the files' names, and the surface's resolution and number
/// of faces. A field without a surface is said in the log, gives no file, and returns no paths.
std::vector<std::string> write_field_mesh(const std::string& folder, const data::PosedImages& images,
                                          NgpStepper& stepper, export_::ExportOptions options);

}  // namespace t3d::train
