#include "t3d/export/mesh_exporter_config.h"

#include "t3d/core/error.h"

namespace t3d::export_ {

ExportOptions export_options(const MeshExporterConfig& c, const std::string& path) {
  if (c.save_name.empty() || c.save_name.find('/') != std::string::npos)
    throw UserError(cat(path, ".save_name is \"", c.save_name,
                        "\", expected the name of a file without folder. Name one such as model."));
  ExportOptions options;
  options.formats = {c.fmt};
  options.name = c.save_name;
  options.has_uv = c.save_uv;
  options.has_texture = c.save_texture;
  options.obj_has_normals = c.save_normal;
  options.surface.resolution = c.resolution;
  options.surface.n_faces = static_cast<size_t>(c.n_faces);
  options.texture.size = c.texture_size;
  options.texture.jpeg = c.texture_format == "jpg";
  if (const config::Node* padding = c.xatlas_pack_options.find("padding"))
    options.texture.padding =
        static_cast<int>(config::to_int(*padding, path + ".xatlas_pack_options.padding", 0, 64));
  return options;
}

}  // namespace t3d::export_
