#include "t3d/system/mesh_exporter.h"

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/write_mesh.h"
#include "t3d/system/isosurface_keys.h"
#include "t3d/system/scene_mesh.h"

namespace t3d::system {
namespace {

constexpr int kPadding = 2;

export_::FieldSurface cut(const System& system, export_::SurfaceOptions options) {
  const auto sampler = field_sampler(system);
  if (options.threshold > 0) {
    try {
      return export_::cut_field(sampler, options);
    } catch (const UserError& nothing) {
      log::warning(cat("isosurface_threshold ", options.threshold, ": ", nothing.what(),
                       " The surface that rays see is taken instead."));
      options.threshold = 0;
    }
  }
  return export_::cut_field(sampler, options);
}

}  // namespace

MeshExporterConfig exporter_config(const System& system) {
  const config::Node& block = system.config().exporter;
  return config::read_struct<MeshExporterConfig>(
      block.is_null() ? config::Node(config::Node::Map{}, block.origin) : block, "system.exporter");
}

std::vector<std::string> export_mesh(const System& system, const std::string& folder) {
  const MeshExporterConfig c = exporter_config(system);
  const IsosurfaceKeys keys = isosurface_keys(system.config().geometry);
  SceneMeshOptions scene;
  const bool is_named = system.config().exporter.find("resolution") != nullptr;
  scene.resolution = is_named ? c.resolution : keys.resolution.value_or(c.resolution);
  scene.small_part = keys.small_part.value_or(scene.small_part);
  scene.n_faces = static_cast<size_t>(c.n_faces);
  // A signed distance knows its own level.
  scene.threshold = system.geometry().distance() != nullptr ? 0 : keys.threshold.value_or(0);
  scene.texture_size = c.texture_size;
  auto options = export_options(system, scene);
  const config::Node* padding = c.xatlas_pack_options.find("padding");
  options.texture.padding =
      padding == nullptr
          ? kPadding
          : static_cast<int>(config::to_int(*padding, "system.exporter.xatlas_pack_options.padding", 0, 64));
  io::Mesh mesh = cut(system, options.surface).mesh;
  const bool has_texture = c.fmt == "obj-mtl" && c.save_uv && c.save_texture;
  if (has_texture)
    mesh = export_::with_texture(mesh, field_sampler(system).colour, options.texture);
  else if (c.save_uv)
    export_::make_atlas(mesh, options.texture);
  make_folders(folder);
  const std::string path = folder + "/" + c.save_name;
  io::write_mesh(path + ".glb", mesh);
  io::WriteMeshOptions write;
  write.jpeg = c.texture_format == "jpg";
  write.texture_name = write.jpeg ? "texture_kd.jpg" : "texture_kd.png";
  if (!c.save_normal) mesh.normals.clear();
  io::write_mesh(path + ".obj", mesh, write);
  std::vector<std::string> paths = {path + ".glb", path + ".obj"};
  if (has_texture) paths.insert(paths.end(), {path + ".mtl", folder + "/" + write.texture_name});
  return paths;
}

}  // namespace t3d::system
