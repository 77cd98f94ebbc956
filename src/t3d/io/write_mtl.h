#pragma once

#include <string>
#include <vector>

#include "t3d/io/write_mesh.h"

namespace t3d::io {

/// What stands beside an OBJ: the names of its material file and of its materials, by their numbers in
/// Mesh::materials, and the paths of all files that were written.
struct WrittenMtl {
  std::string library;
  std::vector<std::string> names, paths;
};

/// Writes the materials of a mesh beside the OBJ at `path`, and the images that they name before the file
/// that names them: map_Kd, map_Pr, map_Pm, norm, map_Ke, map_d, and the factors Kd, Pr, Pm, Ke, d. One
/// material alone is called default. Textures on other coordinates than the first set are left out, and so
/// are rotations of coordinates, both of which is said in the log. Throws SystemError.
WrittenMtl write_mtl(const std::string& path, const Mesh& mesh, const WriteMeshOptions& options);

/// The whole of `bytes`, read back. Throws SystemError.
void write_checked(const std::string& path, const std::string& bytes);

}  // namespace t3d::io
