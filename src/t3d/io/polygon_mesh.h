#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "t3d/io/read_mesh.h"

namespace t3d::io {

/// What a file of polygons holds, before it becomes triangles with an own vertex for each set of attributes.
/// Axes and senses are the file's.
struct PolygonMesh {
  struct Corner {
    uint32_t position = 0;
    int32_t uv = -1, normal = -1;  // -1: none
  };

  std::vector<Vec3f> positions, normals;
  std::vector<Vec2f> uvs;
  std::vector<Vec3f> colours;  // sRGB in [0,1], one for each position, or empty; kNoColour: none here
  std::vector<Corner> corners;
  std::vector<size_t> ends;             // of each face in `corners`
  std::vector<uint16_t> face_material;  // index into `materials` for each face, or empty: material 0
  std::vector<Vec3f> face_colours;      // for each face, or empty
  std::vector<Material> materials;      // at least one once it is built
  std::vector<Image8> textures;

  /// Closes the face that the corners since the last one make.
  void end_face() { ends.push_back(corners.size()); }
  size_t n_faces() const { return ends.size(); }
};

inline Vec3f no_colour() {
  return Vec3f::Constant(std::numeric_limits<float>::quiet_NaN());
}

/// What parts without a material look like.
inline Material plain_grey() {
  Material grey;
  grey.base_colour = Vec3f::Constant(0.6f);
  return grey;
}

/// The drawable mesh: polygons become triangles, faces without area or with a vertex that is not finite are
/// left out and counted in a warning, axes are turned, normals made where the file has none, vertices with
/// equal attributes joined. Colours of vertices and faces stand in place of the base colour of materials
/// without texture; where all of them are white and there are materials, the materials' own colours count.
/// Throws UserError when no face is left. `path` is what messages call the file.
Mesh build_mesh(PolygonMesh source, const std::string& path, const ReadMeshOptions& options);

}  // namespace t3d::io
