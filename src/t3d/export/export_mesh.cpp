#include "t3d/export/export_mesh.h"

#include <algorithm>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/export/bake.h"
#include "t3d/export/mesh_parts.h"
#include "t3d/export/solid.h"
#include "t3d/io/write_mesh.h"

namespace t3d::export_ {
namespace {

/// Four opaque channels, as Mesh::textures have: channel c of texel i is value_of(c, i).
template <class ValueOf>
int add_image(io::Mesh& mesh, const io::Image8& like, const ValueOf& value_of) {
  io::Image8 image(like.width, like.height, 4);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = i % 4 == 3 ? uint8_t{255} : value_of(i % 4, i / 4);
  mesh.textures.push_back(std::move(image));
  return static_cast<int>(mesh.textures.size()) - 1;
}

/// Baked maps as the mesh's one material; metallic and roughness as glTF has them in one image: roughness in
/// green, metallic in blue.
void put_on(io::Mesh& mesh, const std::map<std::string, io::Image8>& maps) {
  const auto find = [&maps](const char* name) {
    const auto found = maps.find(name);
    return found == maps.end() ? nullptr : &found->second;
  };
  io::Material material;
  material.name = "surface";
  material.base_colour = Vec3f::Ones();
  material.roughness = 1;
  if (const io::Image8* albedo = find("albedo"))
    material.base_texture.texture = add_texture(mesh, *albedo);
  else
    log::warning("the material exports no albedo: the mesh becomes white.");
  const io::Image8 *metallic = find("metallic"), *roughness = find("roughness");
  if (metallic != nullptr || roughness != nullptr) {
    const int image = add_image(mesh, metallic != nullptr ? *metallic : *roughness, [&](size_t c, size_t i) {
      const io::Image8* own = c == 1 ? roughness : c == 2 ? metallic : nullptr;
      return own != nullptr ? own->pixels[i] : uint8_t{255};
    });
    if (roughness != nullptr)
      material.roughness_texture.texture = image, material.roughness_texture.channel = 1;
    if (metallic != nullptr) {
      material.metallic = 1;
      material.metallic_texture.texture = image, material.metallic_texture.channel = 2;
    }
  }
  if (const io::Image8* bump = find("bump")) material.normal_texture.texture = add_texture(mesh, *bump);
  mesh.materials = {material};
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

const char* ending_of(MeshFormat format) {
  switch (format) {
    case MeshFormat::ObjMtl:
    case MeshFormat::Obj:
      return "obj";
    case MeshFormat::Glb:
      return "glb";
    case MeshFormat::Ply:
      return "ply";
    case MeshFormat::Stl:
      return "stl";
    case MeshFormat::ThreeMf:
      return "3mf";
  }
  return "";
}

/// NAME.glb and NAME.obj, with what the OBJ names.
void write_obj_and_glb(io::Mesh mesh, const std::string& folder, const ExportOptions& options,
                       std::vector<std::string>& paths) {
  const std::string path = folder + "/" + options.name;
  const char* ending = options.texture.jpeg ? ".jpg" : ".png";
  const auto keep = [&paths](const std::vector<std::string>& more) {
    paths.insert(paths.end(), more.begin(), more.end());
  };
  keep(io::write_mesh(path + ".glb", mesh));
  io::WriteMeshOptions write;
  write.jpeg = options.texture.jpeg;
  write.texture_name = (options.texture_name.empty() ? options.name : options.texture_name) + ending;
  if (!options.obj_has_normals) mesh.normals.clear();
  keep(io::write_mesh(path + ".obj", mesh, write));
}

}  // namespace

std::vector<std::pair<MeshFormat, const char*>> enum_names(const MeshFormat*) {
  return {{MeshFormat::ObjMtl, "obj-mtl"}, {MeshFormat::Obj, "obj"}, {MeshFormat::Glb, "glb"},
          {MeshFormat::Ply, "ply"},        {MeshFormat::Stl, "stl"}, {MeshFormat::ThreeMf, "3mf"}};
}

io::Mesh with_texture(const io::Mesh& mesh, const MapsOf& maps_of, const TextureOptions& options,
                      AtlasInfo* info) {
  io::Mesh out = mesh;
  out.colours.clear();
  out.alphas.clear();
  out.face_material.clear();
  if (out.uvs.empty()) {
    const AtlasInfo made = make_atlas(out, options);
    if (info != nullptr) *info = made;
  }
  out.textures.clear();
  put_on(out, bake_maps(out, maps_of, options.size));
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

io::Mesh solid_for_print(io::Mesh mesh, const std::string& path) {
  const SolidReport report = make_solid(mesh);
  if (report.has_changes()) log::info(cat(path, ": made solid: ", report.text()));
  if (!report.is_watertight)
    log::warning(cat(path, ": the mesh is not watertight: ", report.n_open_edges,
                     " edges have one face, and ", report.n_crowded_left,
                     " more than two; a printer's program may ask for a repair"));
  return mesh;
}

WrittenMesh write_meshes(const MeshExport& meshes, const std::string& folder, const ExportOptions& options) {
  T3D_CHECK(!options.formats.empty(), "no format");
  make_folders(folder);
  const io::Mesh& drawn = meshes.mapped.faces.empty() ? meshes.coloured : meshes.mapped;
  WrittenMesh out;
  const auto count = [&out](const io::Mesh& mesh) {
    if (out.n_faces == 0) out.n_vertices = mesh.positions.size(), out.n_faces = mesh.faces.size();
  };
  for (const MeshFormat format : options.formats) {
    const std::string path = cat(folder, "/", options.name, ".", ending_of(format));
    switch (format) {
      case MeshFormat::ObjMtl:
      case MeshFormat::Obj:
        count(drawn);
        write_obj_and_glb(drawn, folder, options, out.paths);
        break;
      case MeshFormat::Glb:
        count(drawn);
        io::write_mesh(path, drawn);
        out.paths.push_back(path);
        break;
      case MeshFormat::Ply:
        count(meshes.coloured);
        io::write_mesh(path, meshes.coloured);
        out.paths.push_back(path);
        break;
      case MeshFormat::Stl:
      case MeshFormat::ThreeMf:
        const io::Mesh solid = solid_for_print(meshes.coloured, path);
        count(solid);
        io::write_mesh(path, solid);
        out.paths.push_back(path);
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
