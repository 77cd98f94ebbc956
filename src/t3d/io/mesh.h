#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/io/material.h"
#include "t3d/math/vec.h"

namespace t3d::io {

constexpr int kMaxUvSets = 4;

/// Triangles with optional attributes; an attribute array is empty or as long as `positions`.
struct Mesh {
  std::vector<Vec3f> positions;
  std::vector<Vec3f> normals;  // unit
  std::vector<Vec2f> uvs;      // v grows upwards: (0,0) is the texture's lower left corner
  std::vector<std::vector<Vec2f>>
      more_uvs;                 // sets 1, 2, ... (at most kMaxUvSets with `uvs`), each like `uvs`
  std::vector<Vec3f> colours;   // sRGB, [0,1]
  std::vector<float> alphas;    // of the colours, [0,1]
  bool linear_colours = false;  // colours are blended across a face as light instead of as sRGB
  std::vector<std::array<uint32_t, 3>> faces;
  std::vector<uint16_t> face_material;  // one per face, or empty: material 0
  std::vector<Material> materials;
  std::vector<Image8> textures;  // 4 channels, sRGB

  Box3f bounds() const;
  /// Texture coordinates of a set; empty when the mesh has none of it.
  const std::vector<Vec2f>& uv_set(int set) const;
};

/// The base colour's texture of a mesh that has texture coordinates and one material; null for all others.
const Image8* only_texture(const Mesh& mesh);

/// Moves the mesh so that the centre of its bounding box is the origin, and scales its longest side to
/// `size`. `center` false keeps the position relative to the origin and only scales (about the origin).
void fit_mesh(Mesh& mesh, float size, bool center = true);

}  // namespace t3d::io
