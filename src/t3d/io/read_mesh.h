#pragma once

#include <string>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// The file's own up axis. The mesh that is returned is z up, its front along +x:
/// (x,y,z) becomes (z,x,y) for a y-up file, and stays as it is for a z-up file.
enum class UpAxis { Y, Z };

struct ReadMeshOptions {
  UpAxis up = UpAxis::Y;
  bool skip_bad_faces = false;  // drop faces that point past the vertices instead of refusing the file
  bool load_textures = true;
  bool strict = false;  // a missing texture or material library is a SystemError instead of a warning
  std::string texture;  // image for every part that has texture coordinates and no texture of its own
};

/// Reads GLB/glTF (io/gltf), OBJ/MTL (io/obj), PLY (io/ply), STL and OFF (io/parse_stl_off.h); the ending
/// says which. Polygons are triangulated, all parts joined with their transforms applied, missing normals
/// made (io/crease_normals.h, 60 degrees). Faces of zero area, and faces with a vertex that is not finite,
/// are dropped and counted in a warning.
///
/// A mesh that names no texture gets the one image beside it that is named as a texture of it
/// (spot_triangulated.obj: spot_texture.png), which is said in the log.
///
/// Throws SystemError (missing or unreadable file), UserError (malformed file: file, line and column where
/// the format has lines; broken or oversized texture; nothing left to draw).
Mesh read_mesh(const std::string& path, const ReadMeshOptions& options = {});

/// Whether the file's ending is one that read_mesh takes.
bool is_mesh_file(const std::string& path);

}  // namespace t3d::io
