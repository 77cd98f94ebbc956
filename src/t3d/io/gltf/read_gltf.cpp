#include "t3d/io/gltf/read_gltf.h"

#include <algorithm>
#include <map>
#include <set>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/crease_normals.h"
#include "t3d/io/dropped_faces.h"
#include "t3d/io/gltf/gltf_material.h"
#include "t3d/io/gltf/gltf_primitive.h"
#include "t3d/io/gltf/gltf_scene.h"
#include "t3d/io/mesh_textures.h"

namespace t3d::io::gltf {
namespace {

/// A primitive where the scene shows it.
struct Part {
  const Placed* placed;
  size_t primitive;  // index into SceneJoiner::primitives_
};

/// Joins what a scene shows into one mesh.
class SceneJoiner {
 public:
  SceneJoiner(const Document& document, const ReadMeshOptions& options)
      : document_(document), options_(options), buffers_(document), materials_(buffers_, options, mesh_) {}

  Mesh join() {
    scene_ = read_scene(buffers_);
    use_materials();
    read_parts();
    for (const Part& part : parts_) append(part);
    finish();
    return std::move(mesh_);
  }

 private:
  /// Materials come first: they decide which texture coordinates are read.
  void use_materials() {
    std::set<std::string> seen;
    for (const Placed& placed : scene_.placed) {
      if (!seen.insert(placed.mesh.place()).second) continue;
      const Value primitives = placed.mesh["primitives"];
      for (size_t i = 0; i < primitives.size(); ++i)
        if (primitives[i]["mode"].whole_or(4) >= 4) materials_.use(primitives[i]["material"]);
    }
    uv_sets_ = materials_.uv_sets();
  }

  /// The primitives of a mesh with these morph weights, each made once. Returns their indices.
  const std::vector<size_t>& primitives_of(const Placed& placed) {
    const auto [entry, is_new] =
        known_.try_emplace(cat(placed.mesh.place(), " ", placed.morph_weights.place()));
    if (!is_new) return entry->second;
    const Value sources = placed.mesh["primitives"];
    for (size_t i = 0; i < sources.size(); ++i) {
      Primitive primitive(buffers_, sources[i], uv_sets_, placed.morph_weights);
      n_left_over_ += primitive.n_left_over();
      if (primitive.n_corners() == 0) continue;
      const uint16_t material = materials_.use(sources[i]["material"]);
      for (size_t set = 0; set < uv_sets_.size(); ++set) has_uvs_[set] |= primitive.has_uvs(set);
      has_colours_ |= primitive.has_colours();
      has_alphas_ |= primitive.has_alphas();
      for (const TextureSlot* slot : mesh_.materials[material].slots())
        if (slot->is_set() && !primitive.has_uvs(static_cast<size_t>(slot->uv_set))) {
          ++n_without_uvs_;
          break;
        }
      entry->second.push_back(primitives_.size());
      materials_of_.push_back(material);
      primitives_.push_back(std::move(primitive));
    }
    return entry->second;
  }

  void read_parts() {
    uint64_t n_corners = 0;
    for (const Placed& placed : scene_.placed)
      for (const size_t i : primitives_of(placed)) {
        n_corners += primitives_[i].n_corners();
        if (n_corners > document_.limits.max_corners)
          throw UserError(cat(document_.path, ": has more than ", document_.limits.max_corners / 3,
                              " triangles with all instances counted. Use a smaller scene."));
        parts_.push_back({&placed, i});
      }
    if (n_left_over_ > 0)
      log::warning(cat(document_.path, ": left out ", n_left_over_, " indices that make no whole triangle"));
    if (n_without_uvs_ > 0)
      log::warning(cat(document_.path, ": ", n_without_uvs_,
                       n_without_uvs_ == 1 ? " part has" : " parts have",
                       " a texture and no coordinates for it, and take the colour of its upper left corner"));
    for (size_t set = 0; set < uv_sets_.size(); ++set) has_uvs_[set] |= !mesh_.textures.empty();
    mesh_.more_uvs.resize(uv_sets_.size() - 1);
  }

  void append(const Part& part) {
    const Primitive& primitive = primitives_[part.primitive];
    const std::vector<Mat4d>* skin =
        part.placed->skin >= 0 ? &scene_.skins[static_cast<size_t>(part.placed->skin)] : nullptr;
    std::vector<uint32_t> corners;
    corners.reserve(primitive.n_corners());
    for (uint64_t i = 0; i < primitive.n_corners(); i += 3) {
      const uint32_t face[3] = {primitive.corner(i), primitive.corner(i + 1), primitive.corner(i + 2)};
      const uint32_t largest = std::max({face[0], face[1], face[2]});
      if (largest < primitive.n_vertices()) {
        corners.insert(corners.end(), face, face + 3);
      } else if (options_.skip_bad_faces) {
        ++n_bad_;
      } else {
        throw UserError(cat(primitive.place(), ": face ", i / 3, " refers to vertex ", largest,
                            " but the primitive has ", primitive.n_vertices(),
                            ". Export the file again, or pass --skip-bad-faces."));
      }
    }
    // Primitives often share one long list of vertices: only those in use are taken.
    std::vector<uint32_t> used = corners;
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    const size_t first = mesh_.positions.size();
    if (first + used.size() > 0xffffffffu)
      throw UserError(cat(document_.path, ": has more than 4294967295 vertices. Use a smaller scene."));
    std::vector<char> is_mirrored;
    is_mirrored.reserve(used.size());
    for (const uint32_t v : used) {
      const Mat4d placement = primitive.placement(v, part.placed->to_world, skin);
      is_mirrored.push_back(placement.block<3, 3>(0, 0).determinant() < 0 ? 1 : 0);
      push(primitive.vertex(v, placement));
    }
    for (size_t i = 0; i + 2 < corners.size(); i += 3) {
      std::array<uint32_t, 3> face;
      for (size_t c = 0; c < 3; ++c)
        face[c] =
            static_cast<uint32_t>(std::lower_bound(used.begin(), used.end(), corners[i + c]) - used.begin());
      const bool turns = is_mirrored[face[0]] != 0;
      for (uint32_t& corner : face) corner += static_cast<uint32_t>(first);
      if (turns) std::swap(face[1], face[2]);
      if (dropped_.drops(mesh_.positions[face[0]], mesh_.positions[face[1]], mesh_.positions[face[2]]))
        continue;
      mesh_.faces.push_back(face);
      mesh_.face_material.push_back(materials_of_[part.primitive]);
    }
  }

  Vec3f oriented(const Vec3d& v) const {
    const Vec3f f = v.cast<float>();
    return options_.up == UpAxis::Y ? Vec3f(f.z(), f.x(), f.y()) : f;
  }

  void push(const Vertex& vertex) {
    mesh_.positions.push_back(oriented(vertex.position));
    mesh_.normals.push_back(oriented(vertex.normal));
    for (size_t set = 0; set < uv_sets_.size(); ++set)
      if (has_uvs_[set]) (set == 0 ? mesh_.uvs : mesh_.more_uvs[set - 1]).push_back(vertex.uvs[set]);
    if (has_colours_) mesh_.colours.push_back(vertex.colour);
    if (has_alphas_) mesh_.alphas.push_back(vertex.alpha);
  }

  void finish() {
    std::string dropped = dropped_.text();
    if (n_bad_ > 0)
      dropped += cat(dropped.empty() ? "" : ", ", n_bad_,
                     n_bad_ == 1 ? " face that points" : " faces that point", " past the vertices");
    if (mesh_.faces.empty())
      throw UserError(cat(document_.path, ": no face with an area is left", dropped.empty() ? "" : ": ",
                          dropped, ". Export the mesh again, with faces."));
    if (!dropped.empty()) log::warning(cat(document_.path, ": left out ", dropped));
    mesh_.linear_colours = true;
    if (!mesh_.uvs.empty())
      MeshTextures(document_.path, options_, mesh_.textures).put_on_the_rest(mesh_.materials, false);
    make_missing_normals(mesh_);
    join_equal_vertices(mesh_);
  }

  const Document& document_;
  const ReadMeshOptions& options_;
  Buffers buffers_;
  Mesh mesh_;
  Materials materials_;
  Scene scene_;
  std::vector<Primitive> primitives_;
  std::vector<uint16_t> materials_of_;                // of the primitives
  std::map<std::string, std::vector<size_t>> known_;  // primitives by mesh and morph weights
  std::vector<Part> parts_;
  std::vector<int> uv_sets_;
  std::array<bool, kMaxUvSets> has_uvs_ = {};
  bool has_colours_ = false, has_alphas_ = false;
  DroppedFaces dropped_;
  int64_t n_bad_ = 0;
  uint64_t n_left_over_ = 0, n_without_uvs_ = 0;
};

}  // namespace

Mesh read_gltf_bytes(std::string bytes, const std::string& path, const ReadMeshOptions& options,
                     const Limits& limits) {
  const Document document = parse_document(std::move(bytes), path, limits);
  check_extensions(document);
  return SceneJoiner(document, options).join();
}

Mesh read_gltf(const std::string& path, const ReadMeshOptions& options, const Limits& limits) {
  return read_gltf_bytes(read_whole_file(path, limits.max_file), path, options, limits);
}

}  // namespace t3d::io::gltf
