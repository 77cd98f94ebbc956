#pragma once

#include <string>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// A 3MF file as bytes: a zip archive with the model as XML, 3MF core specification 1.3 and materials
/// extension 1.2 (https://github.com/3MFConsortium). Vertices at one place are one vertex, triangles without
/// area are left out, and the object stands on the plate, in the corner of the positive axes. Vertex colours
/// become a colour group that triangles name for each corner; without them materials become base materials by
/// their base colours. A unit of the mesh is a millimetre. Axes as in the mesh, which 3MF takes as z up.
/// Throws UserError where no triangle is left, and above 4 GiB.
std::string three_mf_bytes(const Mesh& mesh, const std::string& path);

}  // namespace t3d::io
