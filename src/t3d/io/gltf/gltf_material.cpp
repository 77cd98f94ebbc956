#include "t3d/io/gltf/gltf_material.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/gltf/gltf_image.h"

namespace t3d::io::gltf {
namespace {

// glTF's numbers for samplers.
constexpr uint64_t kNearest = 9728, kNearestMipmapNearest = 9984, kNearestMipmapLinear = 9986;
constexpr uint64_t kRepeat = 10497, kClamp = 33071, kMirror = 33648;

Vec3f unit_colour(const Vec3d& colour) {
  return colour.cwiseMax(0.0).cwiseMin(1.0).cast<float>();
}

float unit_number(const Value& value, double fallback) {
  return static_cast<float>(std::clamp(value.number_or(fallback), 0.0, 1.0));
}

Wrap wrap_of(const Value& value) {
  const uint64_t mode = value.whole_or(kRepeat);
  if (mode == kClamp) return Wrap::Clamp;
  if (mode == kMirror) return Wrap::Mirror;
  if (mode != kRepeat) value.refuse(cat("is ", mode, ", expected 10497, 33071 or 33648"));
  return Wrap::Repeat;
}

AlphaMode alpha_mode_of(const Value& value) {
  const std::string mode = value.text_or("OPAQUE");
  if (mode == "MASK") return AlphaMode::Mask;
  if (mode == "BLEND") return AlphaMode::Blend;
  if (mode != "OPAQUE") value.refuse(cat("is ", mode, ", expected OPAQUE, MASK or BLEND"));
  return AlphaMode::Opaque;
}

}  // namespace

uint16_t Materials::use(const Value& index) {
  const Value materials = buffers_.document().root()["materials"];
  const int64_t key = index.exists() ? static_cast<int64_t>(index.index(materials.size())) : -1;
  const auto known = used_.find(key);
  if (known != used_.end()) return known->second;
  if (mesh_.materials.size() >= 65535) materials.refuse("has more than 65535 materials in use");
  if (key >= 0) {
    mesh_.materials.push_back(read(materials[static_cast<size_t>(key)]));
  } else {
    Material plain;
    plain.name = "default";
    plain.base_colour = Vec3f::Ones();
    plain.metallic = plain.roughness = 1;
    plain.alpha_mode = AlphaMode::Opaque;
    mesh_.materials.push_back(plain);
  }
  return used_[key] = static_cast<uint16_t>(mesh_.materials.size() - 1);
}

Material Materials::read(const Value& source) {
  Material out;
  out.name = source["name"].text_or("");
  if (out.name.empty()) out.name = source.place().substr(source.place().rfind("materials["));
  out.alpha_mode = alpha_mode_of(source["alphaMode"]);
  out.alpha_cutoff = static_cast<float>(source["alphaCutoff"].number_or(0.5));
  out.is_unlit = source.extension("KHR_materials_unlit").exists();
  if (source.extension("KHR_materials_pbrSpecularGlossiness").exists()) {
    read_specular_glossiness(source.extension("KHR_materials_pbrSpecularGlossiness"), out);
  } else {
    read_metallic_roughness(source["pbrMetallicRoughness"], out);
    read_coat(source, out);
  }
  const double strength =
      source.extension("KHR_materials_emissive_strength")["emissiveStrength"].number_or(1);
  const Vec3d emission = source["emissiveFactor"].numbers_or<3>(Vec3d::Zero()) * std::max(0.0, strength);
  out.emission = emission.cwiseMax(0.0).cwiseMin(1e6).cast<float>();
  // Where textures are left out, their factors alone would glow white.
  if (!read_slot(source["emissiveTexture"], out.emission_texture) && source["emissiveTexture"].exists())
    out.emission = Vec3f::Zero();
  const Value occlusion = source["occlusionTexture"], normal = source["normalTexture"];
  read_slot(occlusion, out.occlusion_texture);
  out.occlusion_strength = unit_number(occlusion["strength"], 1);
  read_slot(normal, out.normal_texture);
  out.normal_scale = static_cast<float>(normal["scale"].number_or(1));
  return out;
}

void Materials::read_metallic_roughness(const Value& source, Material& out) {
  const Eigen::Vector4d base = source["baseColorFactor"].numbers_or<4>(Eigen::Vector4d::Ones());
  out.base_colour = unit_colour(base.head<3>());
  out.opacity = static_cast<float>(std::clamp(base.w(), 0.0, 1.0));
  read_slot(source["baseColorTexture"], out.base_texture);
  out.metallic = unit_number(source["metallicFactor"], 1);
  out.roughness = unit_number(source["roughnessFactor"], 1);
  const Value texture = source["metallicRoughnessTexture"];
  if (read_slot(texture, out.metallic_texture)) {
    out.roughness_texture = out.metallic_texture;
    out.roughness_texture.channel = 1;
    out.metallic_texture.channel = 2;
  } else if (texture.exists()) {
    out.metallic = 0;  // left out: most such textures say that most of the surface is no metal
  }
}

void Materials::read_specular_glossiness(const Value& source, Material& out) {
  const Eigen::Vector4d diffuse = source["diffuseFactor"].numbers_or<4>(Eigen::Vector4d::Ones());
  out.base_colour = unit_colour(diffuse.head<3>());
  out.opacity = static_cast<float>(std::clamp(diffuse.w(), 0.0, 1.0));
  read_slot(source["diffuseTexture"], out.base_texture);
  out.metallic = 0;
  out.specular = unit_colour(source["specularFactor"].numbers_or<3>(Vec3d::Ones()));
  out.roughness = unit_number(source["glossinessFactor"], 1);
  out.has_glossiness = true;
  const Value texture = source["specularGlossinessTexture"];
  if (read_slot(texture, out.specular_texture)) {
    out.roughness_texture = out.specular_texture;
    out.roughness_texture.channel = 3;
  } else if (texture.exists()) {
    out.specular = Vec3f::Constant(0.04f);
    out.roughness = 0.4f;
  }
}

void Materials::read_coat(const Value& source, Material& out) {
  const double ior = source.extension("KHR_materials_ior")["ior"].number_or(1.5);
  // 0 stands for a coat that reflects everything.
  const double straight_on = ior <= 0 ? 1.0 : (ior - 1) * (ior - 1) / ((ior + 1) * (ior + 1));
  const Value specular = source.extension("KHR_materials_specular");
  const double factor = std::clamp(specular["specularFactor"].number_or(1), 0.0, 1.0);
  const Vec3d colour = specular["specularColorFactor"].numbers_or<3>(Vec3d::Ones());
  out.specular = unit_colour((straight_on * colour).cwiseMin(1.0) * factor);
  read_slot(specular["specularColorTexture"], out.specular_texture);
  if (specular["specularTexture"].exists() && options_.load_textures)
    log::warning(cat(specular["specularTexture"].place(), " is not read; its factor alone counts"));
}

bool Materials::read_slot(const Value& info, TextureSlot& slot) {
  if (!info.exists()) return false;
  const Value textures = buffers_.document().root()["textures"];
  const Value texture = textures[info["index"].index(textures.size())];
  if (!options_.load_textures) return false;
  const Value transform = info.extension("KHR_texture_transform");
  const Value set = transform["texCoord"].exists() ? transform["texCoord"] : info["texCoord"];
  slot.texture = image(texture);
  if (!slot.is_set()) return false;
  slot.uv_set = uv_set(static_cast<int>(std::min<uint64_t>(set.whole_or(0), 1000)), set);
  read_transform(transform, slot);
  read_sampler(texture, slot);
  return true;
}

void Materials::read_transform(const Value& extension, TextureSlot& slot) const {
  const Eigen::Vector2d offset = extension["offset"].numbers_or<2>(Eigen::Vector2d::Zero());
  const Eigen::Vector2d scale = extension["scale"].numbers_or<2>(Eigen::Vector2d::Ones());
  const double angle = extension["rotation"].number_or(0), c = std::cos(angle), s = std::sin(angle);
  // In the file's coordinates v grows downwards, and the rotation is counter-clockwise to the eye:
  // (u, v) becomes A (u, v) + offset. The mesh's v is 1 - v.
  Eigen::Matrix2d a;
  a << c * scale.x(), s * scale.y(), -s * scale.x(), c * scale.y();
  Eigen::Matrix<double, 2, 3> upwards;
  upwards << a(0, 0), -a(0, 1), a(0, 1) + offset.x(),  //
      -a(1, 0), a(1, 1), 1 - a(1, 1) - offset.y();
  slot.transform = upwards.cast<float>();
}

void Materials::read_sampler(const Value& texture, TextureSlot& slot) const {
  if (!texture["sampler"].exists()) return;
  const Value samplers = buffers_.document().root()["samplers"];
  const Value sampler = samplers[texture["sampler"].index(samplers.size())];
  slot.wrap_u = wrap_of(sampler["wrapS"]);
  slot.wrap_v = wrap_of(sampler["wrapT"]);
  const uint64_t small = sampler["minFilter"].whole_or(0), large = sampler["magFilter"].whole_or(small);
  if (large == kNearest || large == kNearestMipmapNearest || large == kNearestMipmapLinear)
    slot.filter = Filter::Nearest;
}

int Materials::image(const Value& texture) {
  const Value images = buffers_.document().root()["images"];
  const size_t index = image_index(texture, images.size());
  const auto known = images_.find(index);
  if (known != images_.end()) return known->second;
  try {
    mesh_.textures.push_back(read_gltf_image(buffers_, images[index]));
  } catch (const SystemError& error) {  // its file is missing
    if (options_.strict) throw;
    log::warning(cat(error.what(), " What it belongs to is drawn in its plain colour."));
    return images_[index] = -1;
  }
  return images_[index] = static_cast<int>(mesh_.textures.size()) - 1;
}

int Materials::uv_set(int n, const Value& place) {
  const auto known = std::find(uv_sets_.begin(), uv_sets_.end(), n);
  if (known != uv_sets_.end()) return static_cast<int>(known - uv_sets_.begin());
  if (uv_sets_.size() == kMaxUvSets)
    place.refuse(
        cat("asks for TEXCOORD_", n, " where ", kMaxUvSets, " other sets are in use, and no more are read"));
  uv_sets_.push_back(n);
  return static_cast<int>(uv_sets_.size()) - 1;
}

}  // namespace t3d::io::gltf
