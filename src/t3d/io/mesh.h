#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/math/vec.h"

namespace t3d::io {

/// Surface of a part: a diffuse base under a specular coat (metallic 0), or a metal (metallic 1).
struct Material {
  std::string name;
  Vec3f base_colour = Vec3f::Constant(0.8f);  // linear, [0,1]; multiplies the texture
  Vec3f emission = Vec3f::Zero();             // linear radiance
  float metallic = 0.0f;
  float roughness = 0.6f;
  float opacity = 1.0f;  // below 0.5: not there
  int texture = -1;      // index into Mesh::textures, or -1
};

/// Triangles with optional attributes; an attribute array is empty or as long as `positions`.
struct Mesh {
  std::vector<Vec3f> positions;
  std::vector<Vec3f> normals;  // unit
  std::vector<Vec2f> uvs;      // v grows upwards: (0,0) is the texture's lower left corner
  std::vector<Vec3f> colours;  // sRGB, [0,1]
  std::vector<std::array<uint32_t, 3>> faces;
  std::vector<uint16_t> face_material;  // one per face, or empty: material 0
  std::vector<Material> materials;
  std::vector<Image8> textures;  // 4 channels, sRGB

  Box3f bounds() const;
};

/// The texture of a mesh that has texture coordinates and one material with a texture; null for all others.
const Image8* only_texture(const Mesh& mesh);

/// Moves the mesh so that the centre of its bounding box is the origin, and scales its longest side to
/// `size`. `center` false keeps the position relative to the origin and only scales (about the origin).
void fit_mesh(Mesh& mesh, float size, bool center = true);

}  // namespace t3d::io
