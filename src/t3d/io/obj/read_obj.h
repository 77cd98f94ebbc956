#pragma once

#include <string>

#include "t3d/io/read_mesh.h"

namespace t3d::io::obj {

/// An OBJ with its material libraries and textures. What read_mesh says about files holds; the log names what
/// was found elsewhere, is missing, or was left out.
Mesh read_obj(const std::string& path, const ReadMeshOptions& options);

}  // namespace t3d::io::obj
