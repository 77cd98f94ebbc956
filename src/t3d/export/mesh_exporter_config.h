#pragma once

#include "t3d/core/config/fields.h"
#include "t3d/core/config/node.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/export/export_mesh.h"

namespace t3d::export_ {

/// threestudio's mesh-exporter, by its keys.
struct MeshExporterConfig {
  MeshFormat fmt = MeshFormat::ObjMtl;
  std::string save_name = "model", texture_format = "jpg", context_type = "gl";
  bool save_normal = false, save_uv = true, save_texture = true, save_video = false;
  int texture_size = 1024, resolution = 192, n_faces = 60000;
  config::Node xatlas_chart_options, xatlas_pack_options;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("fmt", fmt, any(),
      "obj-mtl: with a texture, obj: with vertex colours, both with a GLB beside; glb, ply, stl, 3mf: one "
      "file");
    v("save_name", save_name, any(), "of the files, without ending");
    v("save_normal", save_normal, any(), "normals in the OBJ");
    v("save_uv", save_uv, any(), "texture coordinates");
    v("save_texture", save_texture, any(), "bake the material into an image");
    v("texture_size", texture_size, in_range(16, 16384), "texels along a side");
    v("texture_format", texture_format, one_of({"jpg", "png"}), "of the image beside the OBJ");
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

/// The keys as options. `path` is what messages call the block: "system.exporter". Throws UserError for a
/// padding that is no number.
ExportOptions export_options(const MeshExporterConfig& config, const std::string& path);

}  // namespace t3d::export_
