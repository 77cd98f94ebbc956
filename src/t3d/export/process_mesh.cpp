#include "t3d/export/process_mesh.h"

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/export/bake.h"
#include "t3d/export/decimate.h"
#include "t3d/export/mesh_look.h"
#include "t3d/io/crease_normals.h"
#include "t3d/trace/surface.h"

namespace t3d::export_ {
namespace {

constexpr int kLeastTexels = 512, kMostBakedTexels = 2048, kUsualTexels = 1024;
constexpr float kAnyError = 1;  // the number of faces was asked for

bool has_base_textures(const io::Mesh& mesh) {
  return std::any_of(mesh.materials.begin(), mesh.materials.end(), [&](const io::Material& m) {
    const auto slots = m.slots();
    return std::any_of(slots.begin(), slots.end(), [&](const io::TextureSlot* slot) {
      return slot->is_set() && !mesh.uv_set(slot->uv_set).empty();
    });
  });
}

void decimate_to(io::Mesh& mesh, size_t n_faces) {
  if (mesh.faces.size() <= n_faces) return;
  if (!can_decimate())
    throw UserError(
        "this t3d was built without meshoptimizer (libmeshoptimizer-dev), so that it cannot decimate. Leave "
        "--decimate out, or build with it.");
  decimate(mesh, n_faces, kAnyError);
  if (mesh.faces.size() > n_faces)
    log::warning(cat(counted(static_cast<int64_t>(mesh.faces.size()), "face"), " are left instead of ",
                     n_faces, ": fewer would tear the mesh at its borders, seams or small parts"));
}

/// What one baked material cannot hold.
void say_what_is_lost(const io::Mesh& mesh) {
  bool glows = false, lets_through = false;
  for (const io::Material& m : mesh.materials) {
    glows = glows || m.emission.maxCoeff() > 0;
    lets_through = lets_through || trace::may_let_through(mesh, m);
  }
  if (glows) log::warning("the baked material does not glow: emission is left out");
  if (lets_through) log::warning("the baked material is opaque: transparency is left out");
}

}  // namespace

int baked_texture_size(const io::Mesh& mesh) {
  int side = 0;
  for (const io::Image8& image : mesh.textures) side = std::max({side, image.width, image.height});
  if (side == 0) return kUsualTexels;
  int size = kLeastTexels;
  while (size < side && size < kMostBakedTexels) size *= 2;
  return size;
}

io::Mesh process_mesh(const std::shared_ptr<const io::Mesh>& original, const ProcessOptions& o) {
  io::Mesh mesh = *original;
  const bool rebakes = o.makes_uv && has_base_textures(mesh);
  if (o.makes_uv) mesh.uvs.clear(), mesh.more_uvs.clear();
  if (rebakes) mesh.face_material.clear(), mesh.colours.clear(), mesh.alphas.clear();
  if (o.makes_uv) io::join_equal_vertices(mesh);  // seams of the old coordinates are none any more
  if (o.n_faces > 0) decimate_to(mesh, o.n_faces);
  if (o.bakes_normals && !o.makes_uv) {
    if (mesh.uvs.empty())
      throw UserError("--bake-normals needs texture coordinates, and the mesh has none. Add --uv.");
    if (mesh.materials.size() > 1)
      throw UserError(
          cat("--bake-normals: ", mesh.materials.size(),
              " materials share the mesh's texture coordinates. Add --uv, which makes them one."));
  }
  const MeshLook look(original);
  TextureOptions texture;
  static_cast<AtlasOptions&>(texture) = o.atlas;
  if (rebakes) {
    say_what_is_lost(*original);
    mesh = with_texture(mesh, look.maps(), texture);
  } else if (o.makes_uv) {
    make_atlas(mesh, o.atlas);
  }
  if (o.bakes_normals || (rebakes && look.has_normal_texture())) {
    const int image = add_texture(mesh, bake_normals(mesh, look.normals(), o.atlas.size));
    if (mesh.materials.empty()) mesh.materials.emplace_back();
    for (io::Material& m : mesh.materials) {
      m.normal_texture = {};
      m.normal_texture.texture = image;
      m.normal_scale = 1;
    }
  }
  return mesh;
}

void colour_by_materials(io::Mesh& mesh) {
  if (!mesh.colours.empty() && !has_base_textures(mesh)) return;
  if (mesh.materials.empty()) return;
  const MeshLook look(std::make_shared<io::Mesh>(mesh));
  const NamedMaps maps = look.maps()(mesh.positions.size(), mesh.positions.data(), mesh.normals.data());
  const std::vector<float>& albedo = maps.at("albedo").values;
  mesh.colours.resize(mesh.positions.size());
  for (size_t v = 0; v < mesh.colours.size(); ++v)
    mesh.colours[v] = Vec3f(albedo[3 * v], albedo[3 * v + 1], albedo[3 * v + 2]);
}

}  // namespace t3d::export_
