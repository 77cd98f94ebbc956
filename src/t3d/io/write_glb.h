#pragma once

#include <string>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// A binary glTF 2.0 file, https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, as bytes; write_mesh.h
/// says what is in it. The mesh has been checked. Throws UserError above glTF's limit of 4 GiB.
std::string glb_bytes(const Mesh& mesh, const std::string& path);

}  // namespace t3d::io
