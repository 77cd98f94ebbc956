#pragma once

#include "t3d/io/mesh.h"
#include "t3d/system/system.h"

namespace t3d::system {

struct SceneMeshOptions {
  int resolution = 128;      ///< samples per side of the geometry's box, and of the tight box afterwards
  double small_part = 0.02;  ///< parts below this share of the largest one's faces are left out
};

/// The surface of a system's geometry with vertex colours (the material's albedo), z up, front on +x.
///
/// The density at which it is cut is found by export_::DensityThreshold, first in the whole box and then in
/// the box around what was found. Never the box itself: density that reaches the border of the box is closed
/// there. Throws UserError, which says what to change, when the field is empty.
io::Mesh scene_mesh(const System& system, const SceneMeshOptions& options = {});

}  // namespace t3d::system
