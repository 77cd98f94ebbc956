#include "t3d/io/write_glb.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/io/vertex_tangents.h"
#include "t3d/io/write_glb_materials.h"
#include "t3d/math/srgb.h"

namespace t3d::io {
namespace {

using Json = nlohmann::ordered_json;

// glTF's numbers for component types and buffer targets.
constexpr int kUnsignedShort = 5123, kUnsignedInt = 5125, kFloat = 5126;
constexpr int kVertexBuffer = 34962, kIndexBuffer = 34963;

Vec3f y_up(const Vec3f& p) {
  return {p.y(), p.z(), p.x()};
}

float light_of(float srgb) {
  return linear_from_srgb(std::clamp(std::isnan(srgb) ? 0.0f : srgb, 0.0f, 1.0f));
}

/// The binary part, and the JSON that describes it.
class Builder {
 public:
  explicit Builder(size_t n_bytes) { bytes_.reserve(n_bytes); }

  template <class T>
  void put(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  /// Everything put since the last call becomes a buffer view with one accessor. Returns the accessor's
  /// number.
  int accessor(int component, const char* type, size_t count, int target, bool is_normalized = false) {
    views_.push_back(
        {{"buffer", 0}, {"byteOffset", begin_}, {"byteLength", bytes_.size() - begin_}, {"target", target}});
    Json entry = {
        {"bufferView", views_.size() - 1}, {"componentType", component}, {"count", count}, {"type", type}};
    if (is_normalized) entry["normalized"] = true;
    accessors_.push_back(entry);
    begin_ = bytes_.size();
    return static_cast<int>(accessors_.size()) - 1;
  }
  /// Everything put since the last call becomes a buffer view of bytes. Returns its number.
  size_t byte_view() {
    views_.push_back({{"buffer", 0}, {"byteOffset", begin_}, {"byteLength", bytes_.size() - begin_}});
    begin_ = bytes_.size();
    return views_.size() - 1;
  }
  /// To a multiple of four bytes, which belongs to no view.
  void align() {
    bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0');
    begin_ = bytes_.size();
  }
  Json& last_accessor() { return accessors_.back(); }

  std::string bytes_;
  Json views_ = Json::array(), accessors_ = Json::array();

 private:
  size_t begin_ = 0;
};

/// Both as doubles of the floats that are stored, so that a validator finds the same bounds.
Json to_json(const Vec3f& v) {
  return {static_cast<double>(v[0]), static_cast<double>(v[1]), static_cast<double>(v[2])};
}

/// The normal texture whose tangents the file names, so that every program turns its normals the same way.
const TextureSlot* normal_slot(const Mesh& mesh) {
  if (mesh.normals.empty()) return nullptr;
  for (const Material& material : mesh.materials) {
    const TextureSlot& slot = material.normal_texture;
    if (slot.is_set() && !mesh.uv_set(slot.uv_set).empty()) return &slot;
  }
  return nullptr;
}

Json build_attributes(const Mesh& mesh, bool has_colours, Builder& out) {
  const size_t n = mesh.positions.size();
  Vec3f min = y_up(mesh.positions[0]), max = min;
  for (const Vec3f& position : mesh.positions) {
    const Vec3f p = y_up(position);
    min = min.cwiseMin(p);
    max = max.cwiseMax(p);
    for (int c = 0; c < 3; ++c) out.put(p[c]);
  }
  Json attributes;
  attributes["POSITION"] = out.accessor(kFloat, "VEC3", n, kVertexBuffer);
  out.last_accessor()["min"] = to_json(min);
  out.last_accessor()["max"] = to_json(max);
  if (!mesh.normals.empty()) {
    for (const Vec3f& normal : mesh.normals) {
      const float length = normal.norm();
      const Vec3f unit = std::isfinite(length) && length > 0 ? Vec3f(y_up(normal) / length) : Vec3f(0, 1, 0);
      for (int c = 0; c < 3; ++c) out.put(unit[c]);
    }
    attributes["NORMAL"] = out.accessor(kFloat, "VEC3", n, kVertexBuffer);
  }
  if (const TextureSlot* slot = normal_slot(mesh)) {
    for (const Vec4f& t : vertex_tangents(mesh, mesh.uv_set(slot->uv_set))) {
      const Vec3f along_u = y_up(t.head<3>());
      for (int c = 0; c < 3; ++c) out.put(along_u[c]);
      out.put(t.w());
    }
    attributes["TANGENT"] = out.accessor(kFloat, "VEC4", n, kVertexBuffer);
  }
  for (int set = 0; !mesh.uv_set(set).empty(); ++set) {
    // glTF counts v from the top.
    for (const Vec2f& uv : mesh.uv_set(set)) out.put(uv.x()), out.put(1 - uv.y());
    attributes[cat("TEXCOORD_", set)] = out.accessor(kFloat, "VEC2", n, kVertexBuffer);
  }
  if (has_colours) {
    for (size_t v = 0; v < n; ++v) {
      for (int c = 0; c < 3; ++c)
        out.put(static_cast<uint16_t>(std::lround(65535 * light_of(mesh.colours[v][c]))));
      // Alpha also keeps vertices at multiples of four bytes, which glTF demands.
      const float alpha = mesh.alphas.empty() ? 1 : std::clamp(mesh.alphas[v], 0.0f, 1.0f);
      out.put(static_cast<uint16_t>(std::lround(65535 * alpha)));
    }
    attributes["COLOR_0"] = out.accessor(kUnsignedShort, "VEC4", n, kVertexBuffer, true);
  }
  return attributes;
}

/// Whether any material has a texture that the mesh has the coordinates for.
bool has_textures(const Mesh& mesh) {
  for (const Material& material : mesh.materials)
    for (const TextureSlot* slot : material.slots())
      if (slot->is_set() && !mesh.uv_set(slot->uv_set).empty()) return true;
  return false;
}

/// The faces of one material.
struct Part {
  Material material;
  bool has_colours = false;
  std::vector<uint32_t> faces;
};

/// One part for each material in use. Vertex colours without any texture are the whole look: then there is
/// one part.
std::vector<Part> parts_of(const Mesh& mesh) {
  const bool is_plain = mesh.materials.empty() || (!mesh.colours.empty() && !has_textures(mesh));
  std::vector<Part> parts(is_plain ? 1 : mesh.materials.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (is_plain) {
      parts[i].material.roughness = 1;
      parts[i].material.base_colour = Vec3f::Ones();
      parts[i].has_colours = !mesh.colours.empty();
    } else {
      parts[i].material = mesh.materials[i];
      parts[i].has_colours = mesh.materials[i].uses_vertex_colours && !mesh.colours.empty();
    }
  }
  for (uint32_t f = 0; f < mesh.faces.size(); ++f) {
    const size_t i = mesh.face_material.empty() ? 0 : mesh.face_material[f];
    parts[std::min(i, parts.size() - 1)].faces.push_back(f);
  }
  parts.erase(std::remove_if(parts.begin(), parts.end(), [](const Part& p) { return p.faces.empty(); }),
              parts.end());
  return parts;
}

void put_32(std::string& out, uint64_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

}  // namespace

std::string glb_bytes(const Mesh& mesh, const std::string& path) {
  uint64_t n_expected = mesh.positions.size() * uint64_t{40} + mesh.faces.size() * uint64_t{12} + 4096;
  for (const Image8& image : mesh.textures) n_expected += image.pixels.size();
  if (n_expected > 0xffffffffu)
    throw UserError(cat(path, ": the mesh needs ", human_bytes(static_cast<double>(n_expected)),
                        " and a GLB file holds at most 4 GiB. Write a PLY."));
  Builder builder(static_cast<size_t>(n_expected));
  GlbMaterials looks(mesh, path);
  const std::vector<Part> parts = parts_of(mesh);
  const bool has_colours =
      std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.has_colours; });
  const Json attributes = build_attributes(mesh, has_colours, builder);
  Json primitives = Json::array(), materials = Json::array();
  for (const Part& part : parts) {
    for (const uint32_t f : part.faces)
      for (const uint32_t v : mesh.faces[f]) builder.put(v);
    const int indices = builder.accessor(kUnsignedInt, "SCALAR", part.faces.size() * 3, kIndexBuffer);
    Json own = attributes;
    if (!part.has_colours) own.erase("COLOR_0");
    if (!part.material.normal_texture.is_set()) own.erase("TANGENT");
    primitives.push_back(
        {{"attributes", own}, {"indices", indices}, {"mode", 4}, {"material", materials.size()}});
    materials.push_back(looks.material(part.material));
  }
  Json json = {{"asset", {{"version", "2.0"}, {"generator", "t3d"}}},
               {"scene", 0},
               {"scenes", Json::array({{{"nodes", {0}}}})},
               {"nodes", Json::array({{{"mesh", 0}}})},
               {"meshes", Json::array({{{"primitives", primitives}}})},
               {"materials", materials}};
  if (!looks.images().empty()) {
    Json images = Json::array();
    for (const std::string& png : looks.images()) {
      builder.bytes_ += png;
      images.push_back({{"bufferView", builder.byte_view()}, {"mimeType", "image/png"}});
      builder.align();
    }
    json["images"] = images;
    json["samplers"] = looks.samplers();
    json["textures"] = looks.textures();
  }
  if (!looks.extensions().empty()) json["extensionsUsed"] = looks.extensions();
  json["buffers"] = Json::array({{{"byteLength", builder.bytes_.size()}}});
  json["bufferViews"] = builder.views_;
  json["accessors"] = builder.accessors_;
  std::string text = json.dump();
  text.resize((text.size() + 3) / 4 * 4, ' ');
  std::string out = "glTF";
  out.reserve(text.size() + builder.bytes_.size() + 28);
  put_32(out, 2);
  put_32(out, 28 + text.size() + builder.bytes_.size());
  put_32(out, text.size());
  out += "JSON" + text;
  put_32(out, builder.bytes_.size());
  out.append("BIN\0", 4);
  return out + builder.bytes_;
}

}  // namespace t3d::io
