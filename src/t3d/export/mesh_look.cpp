#include "t3d/export/mesh_look.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/export/nearest_face.h"
#include "t3d/math/srgb.h"
#include "t3d/trace/surface.h"

namespace t3d::export_ {
namespace {

constexpr int64_t kGrain = 512;

bool has_texture(const io::Mesh& mesh, const io::TextureSlot& slot) {
  return slot.is_set() && !mesh.uv_set(slot.uv_set).empty();
}

}  // namespace

struct MeshLook::Tree {
  explicit Tree(std::shared_ptr<const io::Mesh> m) : mesh(std::move(m)), nearest(*mesh) {}
  std::shared_ptr<const io::Mesh> mesh;
  NearestFace nearest;

  trace::Hit look(const Vec3f& point, const Vec3f& normal) const {
    const NearestPoint at = nearest(point, normal);
    const auto& face = mesh->faces[at.face];
    const Vec3f& a = mesh->positions[face[0]];
    const Vec3f front = (mesh->positions[face[1]] - a).cross(mesh->positions[face[2]] - a).normalized();
    trace::Hit hit;
    trace::shade(*mesh, {at.face, at.u, at.v}, -front, hit);  // straight onto its front
    return hit;
  }
};

MeshLook::MeshLook(std::shared_ptr<const io::Mesh> mesh) {
  T3D_CHECK(mesh->normals.size() == mesh->positions.size(), "a mesh without normals");
  if (mesh->materials.empty()) {  // what a reader would have said
    auto whole = std::make_shared<io::Mesh>(*mesh);
    whole->materials.emplace_back();
    if (!whole->colours.empty()) whole->materials[0].base_colour = Vec3f::Ones();
    mesh = std::move(whole);
  }
  tree_ = std::make_shared<const Tree>(std::move(mesh));
}

MapsOf MeshLook::maps() const {
  const auto& materials = tree_->mesh->materials;
  const bool has_finish = std::any_of(materials.begin(), materials.end(), [&](const io::Material& m) {
    return has_texture(*tree_->mesh, m.metallic_texture) || has_texture(*tree_->mesh, m.roughness_texture) ||
           m.metallic != materials[0].metallic || m.roughness != materials[0].roughness;
  });
  return [tree = tree_, has_finish](size_t n, const Vec3f* points, const Vec3f* normals) {
    NamedMaps maps;
    auto& albedo = maps["albedo"] = {3, std::vector<float>(3 * n)};
    MapValues metallic{1, std::vector<float>(n)}, roughness = metallic;
    at::parallel_for(0, static_cast<int64_t>(n), kGrain, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const trace::Hit hit = tree->look(points[i], normals[i]);
        for (int c = 0; c < 3; ++c)
          albedo.values[3 * i + static_cast<size_t>(c)] = srgb_from_linear(hit.base_colour[c]);
        metallic.values[i] = hit.metallic;
        roughness.values[i] = hit.roughness;
      }
    });
    if (has_finish) maps["metallic"] = std::move(metallic), maps["roughness"] = std::move(roughness);
    return maps;
  };
}

NormalOf MeshLook::normals() const {
  return [tree = tree_](size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* answers) {
    at::parallel_for(0, static_cast<int64_t>(n), kGrain, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const Vec3f normal = tree->look(points[i], normals[i]).shading_normal;
        answers[i] = normal.dot(normals[i]) < 0 ? Vec3f(-normal) : normal;
      }
    });
  };
}

bool MeshLook::has_normal_texture() const {
  const auto& materials = tree_->mesh->materials;
  return std::any_of(materials.begin(), materials.end(),
                     [&](const io::Material& m) { return has_texture(*tree_->mesh, m.normal_texture); });
}

bool MeshLook::has_colours() const {
  const io::Mesh& mesh = *tree_->mesh;
  return !mesh.colours.empty() || mesh.materials.size() > 1 ||
         has_texture(mesh, mesh.materials[0].base_texture);
}

}  // namespace t3d::export_
