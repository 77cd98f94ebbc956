#pragma once

#include <string>

#include "t3d/core/config/node.h"
#include "t3d/export/mesh_exporter_config.h"
#include "t3d/system/system.h"

namespace t3d::system {

class Run;

/// Keys of the exporter as a caller has them: `given` counts over the exporter's block, and that over
/// `otherwise`.
struct MeshRequest {
  config::Node given{config::Node::Map{}}, otherwise{config::Node::Map{}};
  /// Of the images beside an OBJ, as in texture_kd.jpg; empty: as the mesh.
  std::string texture_name = "texture_kd";
};

/// The exporter's keys: the caller's and those of its block in the system's configuration. Throws UserError.
export_::MeshExporterConfig exporter_config(const System& system, const MeshRequest& request = {});

/// The system's surface as files in `folder`, as the exporter's keys say. Where
/// geometry.isosurface_threshold names a density, the surface is cut there, unless nothing is left: then, and
/// for "auto" or no entry, at one that is found; a signed distance is cut at the level that the key names, 0
/// else. The geometry's other isosurface_* keys count as well (isosurface_keys.h), and its `isosurface:
/// false` is a UserError. Throws as export_::export_mesh does.
export_::WrittenMesh export_mesh(const System& system, const std::string& folder,
                                 const MeshRequest& request = {});

/// The same, and the film of the test views with save_video; nothing, and no paths, for a dummy-exporter.
export_::WrittenMesh export_run(Run& run, const std::string& folder, const MeshRequest& request = {});

}  // namespace t3d::system
