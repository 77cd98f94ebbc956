#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// A mesh's materials as glTF has them. What glTF's core lacks is left out: the coat's reflectance, and
/// textures of metallic and roughness, or of colour and opacity, that are put on in two different ways (the
/// second's factor alone counts, which is said in the log).
class GlbMaterials {
 public:
  using Json = nlohmann::ordered_json;

  GlbMaterials(const Mesh& mesh, std::string path) : mesh_(mesh), path_(std::move(path)) {}

  /// One material; what it needs of images and samplers is added to those.
  Json material(const Material& material);

  /// Of all materials so far. Images are PNG files.
  const std::vector<std::string>& images() const { return images_; }
  const Json& textures() const { return textures_; }
  const Json& samplers() const { return samplers_; }
  const std::set<std::string>& extensions() const { return extensions_; }

 private:
  bool has(const TextureSlot& slot) const;
  const Image8& image_of(const TextureSlot& slot) const;
  int image(const TextureSlot& slot);
  int packed_image(const Material& material, bool is_base);
  Json texture_info(const TextureSlot& slot, int image);
  void put_metal(const Material& material, Json& pbr);
  void put_alpha(const Material& material, Json& out) const;

  const Mesh& mesh_;
  std::string path_;
  std::vector<std::string> images_;
  Json textures_ = Json::array(), samplers_ = Json::array();
  std::set<std::string> extensions_;
  std::map<int, int> image_of_texture_;
  std::map<std::pair<int, int>, int> packed_;  ///< by two textures, metal's channels apart from base's
  std::map<std::string, int> texture_of_, sampler_of_;
};

}  // namespace t3d::io
