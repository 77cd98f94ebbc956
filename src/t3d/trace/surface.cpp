#include "t3d/trace/surface.h"

#include <algorithm>
#include <cmath>

#include "t3d/math/srgb.h"
#include "t3d/trace/texture.h"

namespace t3d::trace {
namespace {

/// One point of a mesh with its material: blends what the corners hold, looks up textures.
class PointReader {
 public:
  PointReader(const io::Mesh& mesh, const SurfacePoint& at)
      : material(material_of(mesh, at.face)),
        mesh_(mesh),
        corner_(mesh.faces[at.face]),
        weight_{1.0f - at.u - at.v, at.u, at.v} {}

  Vec3f blend(const std::vector<Vec3f>& values) const {
    return weight_[0] * values[corner_[0]] + weight_[1] * values[corner_[1]] +
           weight_[2] * values[corner_[2]];
  }
  const Vec3f& position(size_t i) const { return mesh_.positions[corner_[i]]; }

  /// Whether the slot has a texture, and the mesh the coordinates that it is put on with.
  bool has(const io::TextureSlot& slot) const { return slot.is_set() && !mesh_.uv_set(slot.uv_set).empty(); }
  Vec4f texel(const io::TextureSlot& slot, bool is_srgb) const {
    const auto& uvs = mesh_.uv_set(slot.uv_set);
    const Vec2f uv =
        weight_[0] * uvs[corner_[0]] + weight_[1] * uvs[corner_[1]] + weight_[2] * uvs[corner_[2]];
    return sample_texture(mesh_.textures[static_cast<size_t>(slot.texture)], slot, uv, is_srgb);
  }
  Vec3f coloured(const Vec3f& factor, const io::TextureSlot& slot) const {
    return has(slot) ? Vec3f(factor.cwiseProduct(texel(slot, true).head<3>())) : factor;
  }
  float scaled(float factor, const io::TextureSlot& slot) const {
    return has(slot) ? factor * texel(slot, false)[slot.channel] : factor;
  }

  Vec3f vertex_colour() const {
    const auto linear = [](const Vec3f& c) {
      return Vec3f(linear_from_srgb(c.x()), linear_from_srgb(c.y()), linear_from_srgb(c.z()));
    };
    if (!mesh_.linear_colours) return linear(blend(mesh_.colours));
    Vec3f sum = Vec3f::Zero();
    for (size_t i = 0; i < 3; ++i) sum += weight_[i] * linear(mesh_.colours[corner_[i]]);
    return sum;
  }

  float alpha() const {
    float alpha = scaled(material.opacity, material.opacity_texture);
    if (material.uses_texture_alpha && has(material.base_texture))
      alpha *= texel(material.base_texture, true).w();
    if (material.uses_vertex_colours && !mesh_.alphas.empty()) {
      float vertex = 0;
      for (size_t i = 0; i < 3; ++i) vertex += weight_[i] * mesh_.alphas[corner_[i]];
      alpha *= vertex;
    }
    return alpha;
  }

  /// The normal map's normal about the shading normal `n`, which faces the face's front.
  Vec3f mapped_normal(const Vec3f& n) const {
    const io::TextureSlot& slot = material.normal_texture;
    const auto& uvs = mesh_.uv_set(slot.uv_set);
    const Vec2f origin = slot.transformed(uvs[corner_[0]]);
    const Vec2f d1 = slot.transformed(uvs[corner_[1]]) - origin,
                d2 = slot.transformed(uvs[corner_[2]]) - origin;
    const Vec3f e1 = position(1) - position(0), e2 = position(2) - position(0);
    const float area = d1.x() * d2.y() - d1.y() * d2.x();
    if (!(std::abs(area) > 0)) return n;
    const Vec3f along_u = (d2.y() * e1 - d1.y() * e2) / area, along_v = (d1.x() * e2 - d2.x() * e1) / area;
    const Vec3f x = (along_u - n * n.dot(along_u)).normalized(),
                y = (along_v - n * n.dot(along_v)).normalized();
    const Vec4f texel = this->texel(slot, false);
    const Vec3f local = 2.0f * texel.head<3>() - Vec3f::Ones();
    const Vec3f mapped = material.normal_scale * (local.x() * x + local.y() * y) + local.z() * n;
    return mapped.allFinite() && mapped.squaredNorm() > 1e-12f ? Vec3f(mapped.normalized()) : n;
  }

  const io::Material& material;

 private:
  static const io::Material& material_of(const io::Mesh& mesh, uint32_t face) {
    const size_t index = mesh.face_material.empty() ? 0 : mesh.face_material[face];
    return mesh.materials[std::min(index, mesh.materials.size() - 1)];
  }

  const io::Mesh& mesh_;
  const std::array<uint32_t, 3>& corner_;
  float weight_[3];
};

float unit_range(float v) {
  return std::clamp(v, 0.0f, 1.0f);
}

float smallest_alpha(const io::Image8& texture) {
  uint8_t smallest = 255;
  for (size_t i = 3; i < texture.pixels.size(); i += 4) smallest = std::min(smallest, texture.pixels[i]);
  return static_cast<float>(smallest) / 255.0f;
}

}  // namespace

bool may_let_through(const io::Mesh& mesh, const io::Material& material) {
  if (material.alpha_mode == io::AlphaMode::Opaque) return false;
  float least = material.opacity;
  if (material.opacity_texture.is_set() || (material.uses_vertex_colours && !mesh.alphas.empty())) least = 0;
  if (material.base_texture.is_set() && material.uses_texture_alpha)
    least *= smallest_alpha(mesh.textures[static_cast<size_t>(material.base_texture.texture)]);
  return least < (material.alpha_mode == io::AlphaMode::Mask ? material.alpha_cutoff : 1.0f);
}

float stopped_fraction(const io::Mesh& mesh, const SurfacePoint& at) {
  const PointReader point(mesh, at);
  switch (point.material.alpha_mode) {
    case io::AlphaMode::Opaque:
      break;
    case io::AlphaMode::Mask:
      return point.alpha() < point.material.alpha_cutoff ? 0.0f : 1.0f;
    case io::AlphaMode::Blend:
      return unit_range(point.alpha());
  }
  return 1.0f;
}

void shade(const io::Mesh& mesh, const SurfacePoint& at, const Vec3f& direction, Hit& hit) {
  const PointReader point(mesh, at);
  const io::Material& material = point.material;
  Vec3f base = point.coloured(material.base_colour, material.base_texture);
  if (material.uses_vertex_colours && !mesh.colours.empty()) base = base.cwiseProduct(point.vertex_colour());

  hit.point = point.blend(mesh.positions);
  hit.geometric_normal =
      (point.position(1) - point.position(0)).cross(point.position(2) - point.position(0)).normalized();
  hit.shading_normal = hit.geometric_normal;
  if (!mesh.normals.empty()) {
    const Vec3f n = point.blend(mesh.normals);
    if (n.squaredNorm() > 1e-12f) hit.shading_normal = n.normalized();
  }
  if (point.has(material.normal_texture)) hit.shading_normal = point.mapped_normal(hit.shading_normal);
  if (hit.geometric_normal.dot(direction) > 0) hit.geometric_normal = -hit.geometric_normal;
  if (hit.shading_normal.dot(hit.geometric_normal) < 0) hit.shading_normal = -hit.shading_normal;
  // A shading normal that looks away from the viewer is bent back to the silhouette.
  const float facing = -hit.shading_normal.dot(direction);
  if (facing < 0.02f) hit.shading_normal = (hit.shading_normal - (0.02f - facing) * direction).normalized();

  hit.base_colour = base.cwiseMax(0.0f).cwiseMin(1.0f);
  hit.emission = point.coloured(material.emission, material.emission_texture);
  hit.specular = point.coloured(material.specular, material.specular_texture).cwiseMax(0.0f).cwiseMin(1.0f);
  hit.metallic = unit_range(point.scaled(material.metallic, material.metallic_texture));
  const float roughness = unit_range(point.scaled(material.roughness, material.roughness_texture));
  hit.roughness = material.has_glossiness ? 1.0f - roughness : roughness;
  hit.occlusion =
      1.0f + material.occlusion_strength * (point.scaled(1.0f, material.occlusion_texture) - 1.0f);
  hit.is_unlit = material.is_unlit;
}

}  // namespace t3d::trace
