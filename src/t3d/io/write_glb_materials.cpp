#include "t3d/io/write_glb_materials.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d::io {
namespace {

using Json = nlohmann::ordered_json;

// glTF's numbers for samplers.
constexpr int kNearestFilter = 9728, kLinearFilter = 9729, kNearestMipmaps = 9984, kLinearMipmaps = 9987;
constexpr int kClampToEdge = 33071, kMirroredRepeat = 33648;

std::string png_of(const Image8& image) {
  const auto png = encode_png(image);
  return {png.begin(), png.end()};
}

bool is_put_on_alike(const TextureSlot& a, const TextureSlot& b) {
  return a.uv_set == b.uv_set && a.transform == b.transform && a.wrap_u == b.wrap_u && a.wrap_v == b.wrap_v;
}

/// Channel `c` of the texel at the same relative place of another image.
uint8_t at_same_place(const Image8& image, int c, int x, int y, const Image8& of) {
  return image.at(static_cast<int>(int64_t{x} * image.width / of.width),
                  static_cast<int>(int64_t{y} * image.height / of.height))[c];
}

/// KHR_texture_transform of a slot; null without one. Read back as io/gltf does: docs/formats.md.
Json transform_of(const TextureSlot& slot) {
  if (slot.transform == TextureSlot().transform) return {};
  const auto& u = slot.transform;
  const double a00 = u(0, 0), a01 = -u(0, 1), a10 = -u(1, 0), a11 = u(1, 1);
  const double sx = std::hypot(a00, a10), angle = std::atan2(-a10, a00);
  const double sy = a01 * std::sin(angle) + a11 * std::cos(angle);
  return {{"offset", {u(0, 2) - a01, 1 - a11 - u(1, 2)}}, {"rotation", angle}, {"scale", {sx, sy}}};
}

}  // namespace

bool GlbMaterials::has(const TextureSlot& slot) const {
  return slot.is_set() && static_cast<size_t>(slot.texture) < mesh_.textures.size() &&
         !mesh_.uv_set(slot.uv_set).empty();
}

const Image8& GlbMaterials::image_of(const TextureSlot& slot) const {
  return mesh_.textures[static_cast<size_t>(slot.texture)];
}

int GlbMaterials::image(const TextureSlot& slot) {
  const auto [known, is_new] = image_of_texture_.emplace(slot.texture, static_cast<int>(images_.size()));
  if (is_new) images_.push_back(png_of(without_alpha(image_of(slot))));
  return known->second;
}

/// One image of two textures: base colour with opacity as alpha, or roughness (green) with metallic (blue).
int GlbMaterials::packed_image(const Material& m, bool is_base) {
  const TextureSlot &a = is_base ? m.base_texture : m.roughness_texture,
                    &b = is_base ? m.opacity_texture : m.metallic_texture;
  const auto number = [&](const TextureSlot& slot) {
    return has(slot) ? 4 * slot.texture + slot.channel : -1;
  };
  const std::pair<int, int> key(2 * number(a) + (is_base || m.has_glossiness ? 1 : 0),
                                2 * number(b) + (is_base ? 1 : 0));
  const auto [known, is_new] = packed_.emplace(key, static_cast<int>(images_.size()));
  if (!is_new) return known->second;
  const Image8& larger = !has(b) || (has(a) && image_of(a).pixels.size() >= image_of(b).pixels.size())
                             ? image_of(a)
                             : image_of(b);
  Image8 out(larger.width, larger.height, is_base ? 4 : 3);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      uint8_t* to = out.at(x, y);
      const auto one = [&](const TextureSlot& slot, int c) {
        return has(slot) ? at_same_place(image_of(slot), c, x, y, out) : uint8_t{255};
      };
      if (is_base) {
        for (int c = 0; c < 3; ++c) to[c] = one(a, c);
        to[3] = one(b, b.channel);
      } else {
        to[0] = 255;  // occlusion's place
        to[1] = one(a, a.channel);
        if (has(a) && m.has_glossiness) to[1] = static_cast<uint8_t>(255 - to[1]);
        to[2] = one(b, b.channel);
      }
    }
  images_.push_back(png_of(out));
  return known->second;
}

Json GlbMaterials::texture_info(const TextureSlot& slot, int image) {
  Json sampler = {{"magFilter", slot.filter == Filter::Nearest ? kNearestFilter : kLinearFilter},
                  {"minFilter", slot.filter == Filter::Nearest ? kNearestMipmaps : kLinearMipmaps}};
  const auto wrap = [&](const char* key, Wrap mode) {
    if (mode != Wrap::Repeat) sampler[key] = mode == Wrap::Clamp ? kClampToEdge : kMirroredRepeat;
  };
  wrap("wrapS", slot.wrap_u);
  wrap("wrapT", slot.wrap_v);
  const auto number_of = [](std::map<std::string, int>& known, Json& list, const Json& entry) {
    const auto [place, is_new] = known.emplace(entry.dump(), static_cast<int>(list.size()));
    if (is_new) list.push_back(entry);
    return place->second;
  };
  const int sampler_number = number_of(sampler_of_, samplers_, sampler);
  const Json texture = {{"sampler", sampler_number}, {"source", image}};
  Json info = {{"index", number_of(texture_of_, textures_, texture)}};
  if (slot.uv_set > 0) info["texCoord"] = slot.uv_set;
  if (const Json transform = transform_of(slot); !transform.is_null()) {
    info["extensions"]["KHR_texture_transform"] = transform;
    extensions_.insert("KHR_texture_transform");
  }
  return info;
}

void GlbMaterials::put_metal(const Material& m, Json& pbr) {
  const bool has_rough = has(m.roughness_texture), has_metal = has(m.metallic_texture);
  if (!has_rough && !has_metal) return;
  Material used = m;
  if (has_rough && has_metal && !is_put_on_alike(m.roughness_texture, m.metallic_texture)) {
    log::warning(cat(path_, ": ", m.name,
                     ": textures of metallic and roughness lie differently; metallic's is left out"));
    used.metallic_texture = {};
  }
  const bool is_packed = !m.has_glossiness && has_rough && has(used.metallic_texture) &&
                         m.roughness_texture.texture == m.metallic_texture.texture &&
                         m.roughness_texture.channel == 1 && m.metallic_texture.channel == 2;
  const TextureSlot& slot = has_rough ? m.roughness_texture : m.metallic_texture;
  pbr["metallicRoughnessTexture"] = texture_info(slot, is_packed ? image(slot) : packed_image(used, false));
  // The factor of what has been turned round counts once.
  if (m.has_glossiness && has_rough) pbr["roughnessFactor"] = 1.0;
}

void GlbMaterials::put_alpha(const Material& m, Json& out) const {
  if (m.alpha_mode == AlphaMode::Opaque) return;
  const bool by_texture = has(m.opacity_texture) || (m.uses_texture_alpha && has(m.base_texture) &&
                                                     without_alpha(image_of(m.base_texture)).channels == 4);
  const bool by_vertices = m.uses_vertex_colours && !mesh_.alphas.empty();
  if (!by_texture && !by_vertices && m.opacity >= 1) return;
  out["alphaMode"] = m.alpha_mode == AlphaMode::Mask ? "MASK" : "BLEND";
  if (m.alpha_mode == AlphaMode::Mask && m.alpha_cutoff != 0.5f) out["alphaCutoff"] = m.alpha_cutoff;
}

Json GlbMaterials::material(const Material& m) {
  float roughness = m.roughness;
  if (m.has_glossiness) roughness = 1 - m.roughness;
  Json pbr;
  if (has(m.base_texture) || m.base_colour != Vec3f::Ones() || m.opacity != 1)
    pbr["baseColorFactor"] = {m.base_colour.x(), m.base_colour.y(), m.base_colour.z(), m.opacity};
  pbr["metallicFactor"] = m.metallic;
  pbr["roughnessFactor"] = roughness;
  const bool has_opacity =
      has(m.opacity_texture) && (!has(m.base_texture) || is_put_on_alike(m.base_texture, m.opacity_texture));
  if (has(m.opacity_texture) && !has_opacity)
    log::warning(
        cat(path_, ": ", m.name, ": textures of colour and opacity lie differently; opacity's is left out"));
  if (has_opacity)
    pbr["baseColorTexture"] =
        texture_info(has(m.base_texture) ? m.base_texture : m.opacity_texture, packed_image(m, true));
  else if (has(m.base_texture))
    pbr["baseColorTexture"] = texture_info(m.base_texture, image(m.base_texture));
  put_metal(m, pbr);
  Json out = {{"name", m.name.empty() ? "surface" : m.name}, {"pbrMetallicRoughness", pbr}};
  if (has(m.normal_texture)) {
    out["normalTexture"] = texture_info(m.normal_texture, image(m.normal_texture));
    if (m.normal_scale != 1) out["normalTexture"]["scale"] = m.normal_scale;
  }
  if (has(m.occlusion_texture) && m.occlusion_texture.channel == 0) {
    out["occlusionTexture"] = texture_info(m.occlusion_texture, image(m.occlusion_texture));
    if (m.occlusion_strength != 1) out["occlusionTexture"]["strength"] = m.occlusion_strength;
  }
  if (const float strength = m.emission.maxCoeff(); strength > 0) {
    const Vec3f factor = m.emission / std::max(1.0f, strength);
    out["emissiveFactor"] = {factor.x(), factor.y(), factor.z()};
    if (has(m.emission_texture))
      out["emissiveTexture"] = texture_info(m.emission_texture, image(m.emission_texture));
    if (strength > 1) {
      out["extensions"]["KHR_materials_emissive_strength"] = {{"emissiveStrength", strength}};
      extensions_.insert("KHR_materials_emissive_strength");
    }
  }
  if (m.is_unlit) {
    out["extensions"]["KHR_materials_unlit"] = Json::object();
    extensions_.insert("KHR_materials_unlit");
  }
  put_alpha(m, out);
  out["doubleSided"] = true;
  return out;
}

}  // namespace t3d::io
