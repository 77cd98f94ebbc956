#include "t3d/io/vertex_tangents.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::io {

std::vector<Vec4f> vertex_tangents(const Mesh& mesh, const std::vector<Vec2f>& uvs) {
  const size_t n = mesh.positions.size();
  T3D_CHECK(uvs.size() == n && mesh.normals.size() == n, "tangents without coordinates or normals");
  std::vector<Vec3f> sums(n, Vec3f::Zero());
  std::vector<float> senses(n, 0);
  for (const auto& face : mesh.faces) {
    const Vec3f p[3] = {mesh.positions[face[0]], mesh.positions[face[1]], mesh.positions[face[2]]};
    const Vec2f d1 = uvs[face[1]] - uvs[face[0]], d2 = uvs[face[2]] - uvs[face[0]];
    const float area = d1.x() * d2.y() - d1.y() * d2.x();
    const Vec3f along_u = (d2.y() * (p[1] - p[0]) - d1.y() * (p[2] - p[0])) * (area < 0 ? -1.0f : 1.0f);
    if (!(along_u.norm() > 0)) continue;
    for (size_t c = 0; c < 3; ++c) {
      const Vec3f a = (p[(c + 1) % 3] - p[c]).normalized(), b = (p[(c + 2) % 3] - p[c]).normalized();
      const float angle = std::acos(std::clamp(a.dot(b), -1.0f, 1.0f));
      const Vec3f& normal = mesh.normals[face[c]];
      const Vec3f flat = along_u - normal * normal.dot(along_u);
      if (!(flat.norm() > 0)) continue;
      sums[face[c]] += angle * flat.normalized();
      senses[face[c]] += area < 0 ? -angle : angle;
    }
  }
  std::vector<Vec4f> out(n);
  for (size_t v = 0; v < n; ++v) {
    const Vec3f& normal = mesh.normals[v];
    Vec3f t = sums[v] - normal * normal.dot(sums[v]);
    if (t.norm() > 1e-20f)
      t.normalize();
    else
      t = normal.norm() > 0 ? Vec3f(normal.unitOrthogonal()) : Vec3f(1, 0, 0);
    out[v] = Vec4f(t.x(), t.y(), t.z(), senses[v] < 0 ? -1.0f : 1.0f);
  }
  return out;
}

}  // namespace t3d::io
