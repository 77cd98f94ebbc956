#pragma once

#include "t3d/export/mesh_source.h"
#include "t3d/io/mesh.h"
#include "t3d/system/system.h"

namespace t3d::system {

/// A system as an exporter sees it: densities or depths, or the surface of a geometry that has neither; and
/// the material's maps. Refers to the system.
export_::MeshSource mesh_source(const System& system);

/// The geometry's box; a signed distance is left as it is cut, for it has no grain.
void fit_surface_options(const System& system, export_::SurfaceOptions& options);

struct SceneMeshOptions {
  int resolution = 128;      ///< samples along the longest side of what is found in the geometry's box
  double small_part = 0.02;  ///< smaller parts are left out: see export_::remove_small_parts
};

/// The surface of a system's geometry with vertex colours (the material's albedo), z up, front on +x, without
/// files: export_::make_meshes. Throws UserError, which says what to change, when the field is empty or full.
io::Mesh scene_mesh(const System& system, const SceneMeshOptions& options = {});

}  // namespace t3d::system
