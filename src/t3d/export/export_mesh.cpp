#include "t3d/export/export_mesh.h"

#include <algorithm>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/export/bake.h"
#include "t3d/export/mesh_parts.h"
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

io::Mesh cut(const FieldSampler& field, SurfaceOptions options) {
  if (options.threshold > 0 && !field.depth) {
    try {
      return cut_field(field, options).mesh;
    } catch (const UserError& nothing) {
      log::warning(cat("isosurface_threshold ", options.threshold, ": ", nothing.what(),
                       " The surface that rays see is taken instead."));
      options.threshold = 0;
    }
  }
  return cut_field(field, options).mesh;
}

void colour_vertices(io::Mesh& mesh, const MapsOf& maps_of) {
  constexpr size_t kBatch = 1 << 16;
  const ColourOf colour_of = albedo_of(maps_of);
  mesh.colours.resize(mesh.positions.size());
  for (size_t i = 0; i < mesh.positions.size(); i += kBatch)
    colour_of(std::min(kBatch, mesh.positions.size() - i), &mesh.positions[i], &mesh.normals[i],
              &mesh.colours[i]);
}

void move(io::Mesh& mesh, const Mat4f& world_from_source) {
  const Mat3f linear = world_from_source.block<3, 3>(0, 0);
  const Vec3f shift = world_from_source.block<3, 1>(0, 3);
  for (Vec3f& p : mesh.positions) p = linear * p + shift;
  for (Vec3f& n : mesh.normals) n = (linear * n).normalized();
}

bool has_any(const ExportOptions& options, std::initializer_list<MeshFormat> formats) {
  return std::find_first_of(options.formats.begin(), options.formats.end(), formats.begin(), formats.end()) !=
         options.formats.end();
}

/// NAME.glb and NAME.obj, with what the OBJ names.
void write_obj_and_glb(io::Mesh mesh, const std::string& folder, const ExportOptions& options,
                       std::vector<std::string>& paths) {
  const std::string path = folder + "/" + options.name;
  const char* ending = options.texture.jpeg ? ".jpg" : ".png";
  io::write_mesh(path + ".glb", mesh);
  io::WriteMeshOptions write;
  write.jpeg = options.texture.jpeg;
  write.texture_name = (options.texture_name.empty() ? options.name : options.texture_name) + ending;
  if (!options.obj_has_normals) mesh.normals.clear();
  io::write_mesh(path + ".obj", mesh, write);
  paths.insert(paths.end(), {path + ".glb", path + ".obj"});
  if (io::only_texture(mesh) != nullptr)
    paths.insert(paths.end(), {path + ".mtl", folder + "/" + write.texture_name});
}

}  // namespace

std::vector<std::pair<MeshFormat, const char*>> enum_names(const MeshFormat*) {
  return {{MeshFormat::ObjMtl, "obj-mtl"},
          {MeshFormat::Obj, "obj"},
          {MeshFormat::Glb, "glb"},
          {MeshFormat::Ply, "ply"}};
}

io::Mesh with_texture(const io::Mesh& mesh, const MapsOf& maps_of, const TextureOptions& options,
                      AtlasInfo* info) {
  io::Mesh out = mesh;
  out.colours.clear();
  out.face_material.clear();
  if (out.uvs.empty()) {
    const AtlasInfo made = make_atlas(out, options);
    if (info != nullptr) *info = made;
  }
  out.textures = {rgba(bake_colours(out, albedo_of(maps_of), options.size))};
  io::Material material;
  material.name = "surface";
  material.base_colour = Vec3f::Ones();
  material.roughness = 1;
  material.base_texture.texture = 0;
  out.materials = {material};
  return out;
}

MeshExport make_meshes(const MeshSource& source, const ExportOptions& options) {
  MeshExport out;
  out.coloured = source.surface != nullptr ? *source.surface : cut(source.field, options.surface);
  if (out.coloured.normals.empty()) make_vertex_normals(out.coloured);
  if (source.maps) colour_vertices(out.coloured, source.maps);

  using F = MeshFormat;
  const bool needs_uv = options.has_uv && has_any(options, {F::ObjMtl, F::Obj, F::Glb});
  const bool needs_texture =
      needs_uv && options.has_texture && source.maps && has_any(options, {F::ObjMtl, F::Glb});
  if (needs_texture) {
    out.mapped = with_texture(out.coloured, source.maps, options.texture, &out.atlas);
  } else if (needs_uv) {
    out.mapped = out.coloured;
    if (out.mapped.uvs.empty()) out.atlas = make_atlas(out.mapped, options.texture);
  }
  if (source.world_from_source)
    for (io::Mesh* mesh : {&out.coloured, &out.mapped}) move(*mesh, *source.world_from_source);
  return out;
}

WrittenMesh write_meshes(const MeshExport& meshes, const std::string& folder, const ExportOptions& options) {
  T3D_CHECK(!options.formats.empty(), "no format");
  make_folders(folder);
  const io::Mesh& drawn = meshes.mapped.faces.empty() ? meshes.coloured : meshes.mapped;
  const std::string path = folder + "/" + options.name;
  WrittenMesh out;
  for (const MeshFormat format : options.formats) {
    const io::Mesh& mesh = format == MeshFormat::Ply ? meshes.coloured : drawn;
    if (out.paths.empty()) out.n_vertices = mesh.positions.size(), out.n_faces = mesh.faces.size();
    switch (format) {
      case MeshFormat::ObjMtl:
      case MeshFormat::Obj:
        write_obj_and_glb(mesh, folder, options, out.paths);
        break;
      case MeshFormat::Glb:
        io::write_mesh(path + ".glb", mesh);
        out.paths.push_back(path + ".glb");
        break;
      case MeshFormat::Ply:
        io::write_mesh(path + ".ply", mesh);
        out.paths.push_back(path + ".ply");
        break;
    }
  }
  out.n_charts = meshes.atlas.n_charts;
  return out;
}

WrittenMesh export_mesh(const MeshSource& source, const std::string& folder, const ExportOptions& options) {
  return write_meshes(make_meshes(source, options), folder, options);
}

}  // namespace t3d::export_
