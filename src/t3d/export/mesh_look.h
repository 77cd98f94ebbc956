#pragma once

#include <memory>

#include "t3d/export/bake.h"
#include "t3d/export/surface_maps.h"
#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// How a mesh looks at points near its surface, to be baked onto another mesh of the same shape: the nearest
/// point counts, of faces that look the same way.
class MeshLook {
 public:
  /// The mesh must have normals and stay as it is.
  explicit MeshLook(std::shared_ptr<const io::Mesh> mesh);

  /// Albedo in sRGB: factors, textures and vertex colours; with metallic and roughness where any material
  /// says something about either by a texture, or materials differ. Emission and alpha are left out.
  MapsOf maps() const;
  /// Shading normals, with the normal textures of materials.
  NormalOf normals() const;
  /// Whether any material has a normal texture that can be read.
  bool has_normal_texture() const;
  /// Whether there is a texture or a vertex colour, or several materials.
  bool has_colours() const;

 private:
  struct Tree;
  std::shared_ptr<const Tree> tree_;
};

}  // namespace t3d::export_
