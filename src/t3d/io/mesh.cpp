#include "t3d/io/mesh.h"

#include "t3d/core/error.h"

namespace t3d::io {

Box3f Mesh::bounds() const {
  T3D_CHECK(!positions.empty(), "a mesh without vertices has no bounds");
  Box3f box{positions[0], positions[0]};
  for (const auto& p : positions) {
    box.min = box.min.cwiseMin(p);
    box.max = box.max.cwiseMax(p);
  }
  return box;
}

const std::vector<Vec2f>& Mesh::uv_set(int set) const {
  static const std::vector<Vec2f> kNone;
  if (set == 0) return uvs;
  const auto index = static_cast<size_t>(set - 1);
  return set > 0 && index < more_uvs.size() ? more_uvs[index] : kNone;
}

const Image8* only_texture(const Mesh& mesh) {
  if (mesh.uvs.empty() || mesh.materials.size() != 1) return nullptr;
  const int index = mesh.materials[0].base_texture.texture;
  if (index < 0 || static_cast<size_t>(index) >= mesh.textures.size()) return nullptr;
  return &mesh.textures[static_cast<size_t>(index)];
}

void fit_mesh(Mesh& mesh, float size, bool center) {
  const Box3f box = mesh.bounds();
  const float longest = box.size().maxCoeff();
  T3D_CHECK(longest > 0, "a mesh without extent cannot be scaled");
  const Vec3f shift = center ? Vec3f(-box.center()) : Vec3f(Vec3f::Zero());
  for (auto& p : mesh.positions) p = (p + shift) * (size / longest);
}

}  // namespace t3d::io
