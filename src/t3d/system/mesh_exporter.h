#pragma once

#include <string>
#include <vector>

#include "t3d/core/config/fields.h"
#include "t3d/core/config/node.h"
#include "t3d/system/system.h"

namespace t3d::system {

/// threestudio's mesh-exporter, by its keys.
struct MeshExporterConfig {
  std::string fmt = "obj-mtl", save_name = "model", texture_format = "jpg", context_type = "gl";
  bool save_normal = false, save_uv = true, save_texture = true, save_video = false;
  int texture_size = 1024, resolution = 192, n_faces = 60000;
  config::Node xatlas_chart_options, xatlas_pack_options;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("fmt", fmt, one_of({"obj-mtl", "obj"}), "obj-mtl: with a texture; obj: with vertex colours");
    v("save_name", save_name, any(), "of the files, without ending");
    v("save_normal", save_normal, any(), "normals in the OBJ");
    v("save_uv", save_uv, any(), "texture coordinates");
    v("save_texture", save_texture, any(), "bake the material into a picture");
    v("texture_size", texture_size, in_range(16, 16384), "texels along a side");
    v("texture_format", texture_format, one_of({"jpg", "png"}), "of the picture beside the OBJ");
    v("xatlas_chart_options", xatlas_chart_options, ignored("charts are made by a rule of our own"),
      "of charts");
    v("xatlas_pack_options", xatlas_pack_options, any(), "of these, padding counts: texels around a chart");
    v("context_type", context_type, harmless("baking needs no graphics context"), "of OpenGL or CUDA");
    v("save_video", save_video, any(), "also the film of the test views");
    v("resolution", resolution, in_range(16, 1024),
      "samples along the longest side, unless geometry.isosurface_resolution says; not threestudio's");
    v("n_faces", n_faces, in_range(0, 100000000), "at most; 0: all; not threestudio's");
  }
};

/// The exporter's block of a system's configuration.
MeshExporterConfig exporter_config(const System& system);

/// FOLDER/NAME.obj as the configuration wants it, with NAME.mtl and texture_kd beside it, and always
/// NAME.glb. Where geometry.isosurface_threshold names a density, the surface is cut there, unless nothing is
/// left: then, and for "auto" or no entry, at one that is found; a signed distance is cut at the level that
/// the key names, 0 else. The geometry's other isosurface_* keys count as well (isosurface_keys.h), and its
/// `isosurface: false` is a UserError. Returns the paths. Throws as export_scene does.
std::vector<std::string> export_mesh(const System& system, const std::string& folder);

}  // namespace t3d::system
