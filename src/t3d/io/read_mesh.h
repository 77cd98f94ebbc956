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
  std::string texture;  // image for every part that has texture coordinates and no texture of its own
};

/// Reads GLB/glTF (io/gltf/read_gltf.h), and OBJ/MTL, PLY, STL or OFF through assimp: polygons triangulated,
/// all parts joined with their transforms applied, missing normals made (io/crease_normals.h, 60 degrees).
/// Faces of zero area, and faces with a vertex that is not finite, are dropped and counted in a warning.
///
/// An OBJ without materials gets the one image beside it that is named as a texture of it
/// (spot_triangulated.obj: spot_texture.png), which is said in the log.
///
/// Throws SystemError (missing or unreadable file), UserError (malformed file: file, line and column where
/// the format has lines; broken or oversized texture; nothing left to draw).
Mesh read_mesh(const std::string& path, const ReadMeshOptions& options = {});

/// Whether the file's ending is one that read_mesh takes.
bool is_mesh_file(const std::string& path);

/// The first face of an OBJ text that points past the vertices throws UserError "name:line:column: ..."; with
/// `skip` such faces are blanked out of the returned text and counted.
struct ObjCheck {
  std::string text;
  int64_t n_skipped = 0;
};
ObjCheck check_obj(const std::string& text, const std::string& name, bool skip);

/// The same question for OFF texts (ASCII; binary ones pass unseen): the first face that points past the
/// vertices, or a count that the file does not hold, throws UserError "name:line: ...".
void check_off(const std::string& text, const std::string& name);

}  // namespace t3d::io
