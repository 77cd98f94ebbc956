#pragma once

#include <string>

#include "t3d/io/polygon_mesh.h"

namespace t3d::io::ply {

/// What the bytes of a PLY file hold, before textures are looked for.
struct PlyMesh {
  PolygonMesh mesh;                   // face_material indexes `textures` where there are several
  std::vector<std::string> textures;  // "comment TextureFile", as written
  bool has_other_uvs = false;         // in elements of their own (multi_texture_...), which are not read
  int64_t n_skipped = 0;              // faces that point past the vertices
};

/// Positions, normals, texture coordinates of vertices (s t, u v, texture_u texture_v) or of the corners of
/// faces
/// (`texcoord`, with `texnumber`), colours of vertices or faces (red, diffuse_red or r; whole numbers of 8 or
/// 16 bits, floats up to 1 or up to 255), polygons of any size, triangle strips; text and binary of both byte
/// orders. Throws UserError for a file that is broken or cut short, a face that points past the vertices
/// (with `skip` counted and left out), a cloud of points and a Gaussian splat.
PlyMesh parse_ply(std::string_view bytes, const std::string& name, bool skip);

/// The same with its textures, as a drawable mesh.
Mesh read_ply(const std::string& path, const ReadMeshOptions& options);

}  // namespace t3d::io::ply
