#include "t3d/system/mesh_exporter.h"

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/system/isosurface_keys.h"
#include "t3d/system/run.h"
#include "t3d/system/scene_mesh.h"

namespace t3d::system {
namespace {

constexpr const char* kBlock = "system.exporter";

config::Node merged(const System& system, const MeshRequest& request) {
  config::Node block = request.otherwise;
  if (!system.config().exporter.is_null()) config::merge(block, system.config().exporter);
  config::merge(block, request.given);
  return block;
}

/// Whether the key is more than a default.
bool is_named(const System& system, const MeshRequest& request, const char* key) {
  return request.given.find(key) != nullptr || system.config().exporter.find(key) != nullptr;
}

}  // namespace

export_::MeshExporterConfig exporter_config(const System& system, const MeshRequest& request) {
  return config::read_struct<export_::MeshExporterConfig>(merged(system, request), kBlock);
}

export_::WrittenMesh export_mesh(const System& system, const std::string& folder,
                                 const MeshRequest& request) {
  export_::ExportOptions options = export_::export_options(exporter_config(system, request), kBlock);
  options.texture_name = request.texture_name;
  const IsosurfaceKeys keys = isosurface_keys(system.config().geometry);
  if (keys.resolution && !is_named(system, request, "resolution"))
    options.surface.resolution = *keys.resolution;
  options.surface.small_part = keys.small_part.value_or(options.surface.small_part);
  options.surface.threshold = keys.threshold.value_or(0);
  fit_surface_options(system, options.surface);
  return export_::export_mesh(mesh_source(system), folder, options);
}

export_::WrittenMesh export_run(Run& run, const std::string& folder, const MeshRequest& request) {
  const System& system = run.system();
  if (system.config().exporter_type == "dummy-exporter") return {};
  if (exporter_config(system, request).save_video) run.test();
  return export_mesh(system, folder, request);
}

}  // namespace t3d::system
