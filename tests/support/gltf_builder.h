#pragma once

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "t3d/io/image.h"

namespace t3d::testing {

/// Puts small glTF files together: a JSON that tests may change at will, and one buffer.
class GltfBuilder {
 public:
  using Json = nlohmann::json;
  enum : int { kByte = 5120, kUnsignedByte, kShort, kUnsignedShort, kUnsignedInt = 5125, kFloat };

  /// The unit square in the plane z = 0 towards +z, its texture coordinates x and 1 - y (the image upright),
  /// shown by node 0 with material 0.
  GltfBuilder() {
    json = Json::parse(R"({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
      "nodes": [{"mesh": 0}], "materials": [{"name": "paint"}], "buffers": [{}],
      "meshes": [{"primitives": [{"attributes": {}, "material": 0}]}]})");
    attribute("POSITION") = add<float>({0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0}, kFloat, "VEC3");
    attribute("NORMAL") = add<float>({0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1}, kFloat, "VEC3");
    attribute("TEXCOORD_0") = add<float>({0, 1, 1, 1, 1, 0, 0, 0}, kFloat, "VEC2");
    primitive()["indices"] = add<uint32_t>({0, 1, 2, 0, 2, 3}, kUnsignedInt, "SCALAR");
  }

  Json& material() { return json["materials"][0]; }
  Json& primitive() { return json["meshes"][0]["primitives"][0]; }
  Json& attribute(const std::string& name) { return primitive()["attributes"][name]; }
  Json& node(size_t i = 0) { return json["nodes"][i]; }

  /// A buffer view of bytes. Returns its number.
  int add_view(const std::string& content, int stride = 0) {
    Json view = {{"buffer", 0}, {"byteOffset", bytes.size()}, {"byteLength", content.size()}};
    if (stride > 0) view["byteStride"] = stride;
    bytes += content;
    bytes.resize((bytes.size() + 3) / 4 * 4, '\0');
    json["bufferViews"].push_back(view);
    return static_cast<int>(json["bufferViews"].size()) - 1;
  }
  int add_accessor(int view, int component, size_t count, const char* type, bool is_normalized = false) {
    Json accessor = {{"componentType", component}, {"count", count}, {"type", type}};
    if (view >= 0) accessor["bufferView"] = view;
    if (is_normalized) accessor["normalized"] = true;
    json["accessors"].push_back(accessor);
    return static_cast<int>(json["accessors"].size()) - 1;
  }
  template <class T>
  static std::string packed(const std::vector<T>& values) {
    return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  /// A view and an accessor of these components. Returns the accessor's number.
  template <class T>
  int add(const std::vector<T>& values, int component, const char* type, bool is_normalized = false) {
    const std::string name = type;
    const size_t n = name == "SCALAR" ? 1 : name == "MAT4" ? 16 : static_cast<size_t>(name[3] - '0');
    return add_accessor(add_view(packed(values)), component, values.size() / n, type, is_normalized);
  }

  /// An image inside the buffer and a texture of it, with a sampler's members. Returns the texture's number.
  int add_texture(const std::string& content, const char* mime = "image/png", const Json& sampler = nullptr) {
    json["images"].push_back({{"bufferView", add_view(content)}, {"mimeType", mime}});
    Json texture = {{"source", json["images"].size() - 1}};
    if (!sampler.is_null()) {
      json["samplers"].push_back(sampler);
      texture["sampler"] = json["samplers"].size() - 1;
    }
    json["textures"].push_back(texture);
    return static_cast<int>(json["textures"].size()) - 1;
  }
  static std::string png(int width, int height, const std::vector<uint8_t>& rgba) {
    io::Image8 image(width, height, 4);
    image.pixels = rgba;
    const auto encoded = io::encode_png(image);
    return {encoded.begin(), encoded.end()};
  }

  /// "data:MIME;base64,..."
  static std::string data_uri(const std::string& content, const std::string& mime) {
    static const char* const kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out = "data:" + mime + ";base64,";
    for (size_t i = 0; i < content.size(); i += 3) {
      uint32_t bits = 0;
      for (size_t k = 0; k < 3; ++k)
        bits = bits << 8 | (i + k < content.size() ? static_cast<unsigned char>(content[i + k]) : 0u);
      for (size_t k = 0; k < 4; ++k) out += i + k > content.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
    }
    return out;
  }

  /// The file as a GLB.
  std::string glb() const {
    Json out = json;
    out["buffers"][0]["byteLength"] = bytes.size();
    std::string text = out.dump();
    text.resize((text.size() + 3) / 4 * 4, ' ');
    const auto word = [](size_t value) {
      const auto narrow = static_cast<uint32_t>(value);
      return std::string(reinterpret_cast<const char*>(&narrow), 4);
    };
    return "glTF" + word(2) + word(28 + text.size() + bytes.size()) + word(text.size()) + "JSON" + text +
           word(bytes.size()) + std::string("BIN\0", 4) + bytes;
  }
  /// The file as a glTF whose buffer lies at `uri`.
  std::string gltf(const std::string& uri) const {
    Json out = json;
    out["buffers"][0] = {{"byteLength", bytes.size()}, {"uri", uri}};
    return out.dump();
  }

  Json json;
  std::string bytes;
};

}  // namespace t3d::testing
