#pragma once

#include "t3d/export/export_field.h"
#include "t3d/io/mesh.h"
#include "t3d/system/system.h"

namespace t3d::system {

struct SceneMeshOptions {
  int resolution = 128;      ///< samples along the longest side of what is found in the geometry's box
  double small_part = 0.02;  ///< smaller parts are left out: see export_::remove_small_parts
  size_t n_faces = 60000;    ///< after decimation, at most; 0: all
  float threshold = 0;       ///< density of the surface; 0: where rays see one
  int texture_size = 1024;   ///< texels along a side
};

/// A system's geometry as an exporter sees it: densities or depths, and the material's albedo, white where
/// the material exports none. Refers to the system.
export_::FieldSampler field_sampler(const System& system);

export_::ExportOptions export_options(const System& system, const SceneMeshOptions& options);

/// The surface of a system's geometry with vertex colours (the material's albedo), z up, front on +x:
/// export_::cut_field. Throws UserError, which says what to change, when the field is empty or full.
io::Mesh scene_mesh(const System& system, const SceneMeshOptions& options = {});

/// The same with a texture beside it: export_::export_field.
export_::MeshExport export_scene(const System& system, const SceneMeshOptions& options = {});

}  // namespace t3d::system
