#include "t3d/io/write_glb.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

using Json = nlohmann::ordered_json;

// glTF's numbers for component types and buffer targets.
constexpr int kUnsignedShort = 5123, kUnsignedInt = 5125, kFloat = 5126;
constexpr int kVertexBuffer = 34962, kIndexBuffer = 34963;
constexpr int kLinear = 9729, kLinearMipmapLinear = 9987;

Vec3f y_up(const Vec3f& p) {
  return {p.y(), p.z(), p.x()};
}

float linear_from_srgb(float v) {
  v = std::clamp(std::isnan(v) ? 0.0f : v, 0.0f, 1.0f);
  return v <= 0.04045f ? v / 12.92f : std::pow((v + 0.055f) / 1.055f, 2.4f);
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

Json build_attributes(const Mesh& mesh, Builder& out) {
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
  if (!mesh.uvs.empty()) {
    for (const Vec2f& uv : mesh.uvs) out.put(uv.x()), out.put(1 - uv.y());  // glTF counts v from the top
    attributes["TEXCOORD_0"] = out.accessor(kFloat, "VEC2", n, kVertexBuffer);
  }
  if (!mesh.colours.empty() && only_texture(mesh) == nullptr) {  // they would be multiplied
    for (const Vec3f& colour : mesh.colours) {
      for (int c = 0; c < 3; ++c)
        out.put(static_cast<uint16_t>(std::lround(65535 * linear_from_srgb(colour[c]))));
      out.put(uint16_t{65535});  // alpha also keeps vertices at multiples of four bytes, which glTF demands
    }
    attributes["COLOR_0"] = out.accessor(kUnsignedShort, "VEC4", n, kVertexBuffer, true);
  }
  return attributes;
}

Json build_material(const Mesh& mesh) {
  Json pbr = {{"metallicFactor", 0.0}, {"roughnessFactor", 1.0}};
  if ((mesh.colours.empty() || only_texture(mesh) != nullptr) && !mesh.materials.empty()) {
    const Material& m = mesh.materials[0];
    pbr = {{"baseColorFactor", {m.base_colour.x(), m.base_colour.y(), m.base_colour.z(), 1.0}},
           {"metallicFactor", m.metallic},
           {"roughnessFactor", m.roughness}};
    if (only_texture(mesh) != nullptr) pbr["baseColorTexture"] = {{"index", 0}};
  }
  return {{"name", "surface"}, {"pbrMetallicRoughness", pbr}, {"doubleSided", true}};
}

void put_32(std::string& out, uint64_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

}  // namespace

std::string glb_bytes(const Mesh& mesh, const std::string& path) {
  const Image8* picture = only_texture(mesh);
  const uint64_t n_expected = mesh.positions.size() * uint64_t{40} + mesh.faces.size() * uint64_t{12} +
                              (picture != nullptr ? picture->pixels.size() : 0) + 4096;
  if (n_expected > 0xffffffffu)
    throw UserError(cat(path, ": the mesh needs ", human_bytes(static_cast<double>(n_expected)),
                        " and a GLB file holds at most 4 GiB. Write a PLY."));
  Builder builder(static_cast<size_t>(n_expected));
  const Json attributes = build_attributes(mesh, builder);
  for (const auto& face : mesh.faces)
    for (const uint32_t v : face) builder.put(v);
  const int indices = builder.accessor(kUnsignedInt, "SCALAR", mesh.faces.size() * 3, kIndexBuffer);
  const Json primitive = {{"attributes", attributes}, {"indices", indices}, {"mode", 4}, {"material", 0}};
  Json json = {{"asset", {{"version", "2.0"}, {"generator", "t3d"}}},
               {"scene", 0},
               {"scenes", Json::array({{{"nodes", {0}}}})},
               {"nodes", Json::array({{{"mesh", 0}}})},
               {"meshes", Json::array({{{"primitives", Json::array({primitive})}}})},
               {"materials", Json::array({build_material(mesh)})}};
  if (picture != nullptr) {
    const auto png = encode_png(without_alpha(*picture));
    builder.bytes_.append(png.begin(), png.end());
    json["images"] = Json::array({{{"bufferView", builder.byte_view()}, {"mimeType", "image/png"}}});
    json["samplers"] = Json::array({{{"magFilter", kLinear}, {"minFilter", kLinearMipmapLinear}}});
    json["textures"] = Json::array({{{"sampler", 0}, {"source", 0}}});
    builder.bytes_.resize((builder.bytes_.size() + 3) / 4 * 4, '\0');
  }
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
