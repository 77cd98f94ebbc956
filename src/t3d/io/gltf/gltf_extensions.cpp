#include <algorithm>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/gltf/gltf_document.h"

namespace t3d::io::gltf {
namespace {

/// Read in full, or without meaning for the surface of the default scene at rest.
constexpr const char* kRead[] = {"KHR_mesh_quantization",
                                 "KHR_texture_transform",
                                 "KHR_materials_unlit",
                                 "KHR_materials_emissive_strength",
                                 "KHR_materials_pbrSpecularGlossiness",
                                 "KHR_materials_ior",
                                 "KHR_materials_specular",
                                 "KHR_node_visibility",
                                 "EXT_mesh_gpu_instancing",
#ifdef T3D_HAS_WEBP
                                 "EXT_texture_webp",
#endif
#ifdef T3D_HAS_MESHOPTIMIZER
                                 "EXT_meshopt_compression",
#endif
                                 "KHR_lights_punctual",
                                 "KHR_animation_pointer",
                                 "KHR_xmp",
                                 "KHR_xmp_json_ld",
                                 "KHR_materials_variants",
                                 "EXT_lights_image_based",
                                 "EXT_mesh_features",
                                 "EXT_structural_metadata",
                                 "EXT_instance_features",
                                 "MSFT_lod"};

/// Change how a surface looks, and are left out.
constexpr const char* kLook[] = {"KHR_materials_transmission",
                                 "KHR_materials_volume",
                                 "KHR_materials_clearcoat",
                                 "KHR_materials_sheen",
                                 "KHR_materials_iridescence",
                                 "KHR_materials_anisotropy",
                                 "KHR_materials_dispersion",
                                 "KHR_materials_diffuse_transmission",
                                 "KHR_materials_subsurface",
                                 "KHR_materials_volume_scatter",
                                 "ADOBE_materials_clearcoat_specular",
                                 "ADOBE_materials_clearcoat_tint",
                                 "MSFT_packing_occlusionRoughnessMetallic",
                                 "MSFT_packing_normalRoughnessMetallic",
                                 "VRMC_materials_mtoon",
                                 "FB_materials_modmap",
                                 "KHR_techniques_webgl",
                                 "KHR_materials_common",
                                 "KHR_materials_cmnBlinnPhong"};

template <size_t N>
bool is_in(const char* const (&names)[N], const std::string& name) {
  return std::any_of(names, names + N, [&name](const char* known) { return name == known; });
}

std::string advice(const std::string& name) {
  if (name == "KHR_draco_mesh_compression") return "Export it without mesh compression.";
  if (name == "EXT_meshopt_compression")
    return "Install libmeshoptimizer-dev and build again, or export it without mesh compression.";
  if (name == "EXT_texture_webp")
    return "Install libwebp-dev and build again, or export it with PNG or JPEG textures.";
  if (name == "KHR_texture_basisu") return "Export it with PNG or JPEG textures instead of KTX2.";
  if (name == "EXT_texture_avif" || name == "MSFT_texture_dds") return "Export it with PNG or JPEG textures.";
  return "Export it without that.";
}

}  // namespace

void check_extensions(const Document& document) {
  const Value required = document.root()["extensionsRequired"], used = document.root()["extensionsUsed"];
  for (size_t i = 0; i < required.size(); ++i) {
    const std::string name = required[i].text();
    if (!is_in(kRead, name))
      throw UserError(
          cat(document.path, ": requires the glTF extension ", name, ", which is not read. ", advice(name)));
  }
  std::set<std::string> left_out;
  for (size_t i = 0; i < used.size(); ++i)
    if (is_in(kLook, used[i].text())) left_out.insert(used[i].text());
  std::string names;
  for (const std::string& name : left_out) names += cat(names.empty() ? "" : ", ", name);
  if (!names.empty()) log::warning(cat(document.path, ": is drawn without ", names, ", which is not read"));
}

}  // namespace t3d::io::gltf
