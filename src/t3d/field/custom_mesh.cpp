#include "t3d/field/custom_mesh.h"

#include <ATen/ATen.h>

#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/field/sdf_shape.h"
#include "t3d/io/weld.h"

namespace t3d::field {
namespace {

io::Mesh mesh_named(const CustomMesh::Config& config) {
  if (!config.shape_init)
    throw UserError(
        "geometry.shape_init is missing: a custom-mesh needs a mesh file. Write shape_init=mesh:PATH and "
        "shape_init_params=0.8, its largest coordinate.");
  auto mesh = initial_mesh(config);
  if (!mesh)
    throw UserError(
        cat("geometry.shape_init is ", *config.shape_init,
            ", expected mesh:PATH: a custom-mesh is a mesh file. Use geometry_type=tetrahedra-sdf-grid "
            "or implicit-sdf for other shapes."));
  return std::move(*mesh);
}

void warn_if_outside(const io::Mesh& mesh, float radius) {
  const Box3f box = mesh.bounds();
  const float reach = std::max(-box.min.minCoeff(), box.max.maxCoeff());
  if (reach > radius)
    log::warning(cat("geometry: the mesh reaches to ", reach, " and the features' box to radius=", radius,
                     ". Lower shape_init_params, or raise radius."));
}

}  // namespace

mesh::SurfaceMesh joined_surface(const io::Mesh& mesh) {
  const io::WeldedVertices places = io::weld(mesh.positions);
  std::vector<float> vertices, uv;
  for (const uint32_t v : places.first)
    vertices.insert(vertices.end(), mesh.positions[v].data(), mesh.positions[v].data() + 3);
  std::vector<int64_t> faces, uv_faces;
  for (const auto& face : mesh.faces)
    for (const uint32_t corner : face) faces.push_back(places.number[corner]), uv_faces.push_back(corner);
  mesh::SurfaceMesh out;
  out.vertices = at::tensor(at::ArrayRef<float>(vertices), at::kFloat).reshape({-1, 3});
  out.faces = at::tensor(at::ArrayRef<int64_t>(faces), at::kLong).reshape({-1, 3});
  if (mesh.uvs.empty()) return out;
  for (const Vec2f& at : mesh.uvs) uv.insert(uv.end(), at.data(), at.data() + 2);
  out.uv = at::tensor(at::ArrayRef<float>(uv), at::kFloat).reshape({-1, 2});
  out.uv_faces = at::tensor(at::ArrayRef<int64_t>(uv_faces), at::kLong).reshape({-1, 3});
  return out;
}

CustomMesh::CustomMesh(const Config& config, const BuildContext& context)
    : config_(config), features_(config, config.radius, context), box_(cube(config.radius, context.device)) {
  const io::Mesh file = mesh_named(config);
  warn_if_outside(file, config.radius);
  mesh_ = joined_surface(file);
  for (at::Tensor* part : {&mesh_.vertices, &mesh_.faces, &mesh_.uv, &mesh_.uv_faces})
    if (part->defined()) *part = part->to(context.device);
  log::info(cat("custom-mesh: ", counted(mesh_.faces.size(0), "face"), ", ",
                counted(mesh_.vertices.size(0), "vertex", "vertices"),
                mesh_.uv.defined() ? ", with texture coordinates" : ""));
}

void CustomMesh::start_as(const Geometry& previous, bool with_features) {
  if (dynamic_cast<const CustomMesh*>(&previous) == nullptr)
    throw UserError(
        "system.geometry_convert_from: a custom-mesh has the shape of its file and takes features of another "
        "custom-mesh alone. Name such a run, or use geometry_type=tetrahedra-sdf-grid.");
  start_as_same_kind(previous, *this, {}, {"encoding.", "feature_network."}, with_features);
}

void CustomMesh::collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const {
  buffers.emplace(prefix + "bbox", box_);
  features_.collect(prefix, parameters, buffers);
}

}  // namespace t3d::field
