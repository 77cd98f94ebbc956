#include "t3d/export/export_field.h"

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/export/bake.h"
#include "t3d/io/write_mesh.h"

namespace t3d::export_ {
namespace {

/// Opaque, as Mesh::textures are.
io::Image8 rgba(const io::Image8& rgb) {
  io::Image8 out(rgb.width, rgb.height, 4);
  for (size_t i = 0; i < out.pixels.size(); ++i)
    out.pixels[i] = i % 4 == 3 ? 255 : rgb.pixels[i / 4 * 3 + i % 4];
  return out;
}

}  // namespace

io::Mesh with_texture(const io::Mesh& mesh, const ColourOf& colour_of, const TextureOptions& options,
                      AtlasInfo* info) {
  io::Mesh out = mesh;
  out.colours.clear();
  out.face_material.clear();
  const AtlasInfo made = make_atlas(out, options);
  if (info != nullptr) *info = made;
  out.textures = {rgba(bake_colours(out, colour_of, options.size))};
  io::Material material;
  material.name = "surface";
  material.base_colour = Vec3f::Ones();
  material.roughness = 1;
  material.base_texture.texture = 0;
  out.materials = {material};
  return out;
}

MeshExport export_field(const FieldSampler& sampler, const ExportOptions& options) {
  T3D_CHECK(sampler.colour, "a field without colours");
  MeshExport out;
  FieldSurface surface = cut_field(sampler, options.surface);
  out.coloured = std::move(surface.mesh);
  out.textured = with_texture(out.coloured, sampler.colour, options.texture, &out.atlas);
  return out;
}

std::vector<std::string> write_textured(const io::Mesh& textured, const std::string& folder,
                                        const std::string& name, const TextureOptions& options) {
  make_folders(folder);
  const std::string path = folder + "/" + name;
  io::write_mesh(path + ".glb", textured);
  io::WriteMeshOptions write;
  write.jpeg = options.jpeg;
  io::write_mesh(path + ".obj", textured, write);
  return {path + ".glb", path + ".obj", path + ".mtl", path + (options.jpeg ? ".jpg" : ".png")};
}

}  // namespace t3d::export_
