#pragma once

#include <memory>

#include "t3d/core/config/fields.h"
#include "t3d/field/activation.h"
#include "t3d/shading/environment_light.h"
#include "t3d/shading/material.h"

namespace t3d::shading {

/// Metal and dielectric under an environment, by the split sum of Karis 2013, "Real shading in Unreal Engine
/// 4", with bump mapping. The features are, in this order: albedo (3), metallic, roughness, bump (3).
class PbrMaterial : public Material {
 public:
  static constexpr const char* kDefaultTexture = "load/lights/mud_road_puresky_1k.hdr";
  static constexpr const char* kTableFile = "load/lights/bsdf_256_256.bin";

  struct Config {
    std::string material_activation = "sigmoid", environment_texture = kDefaultTexture, environment_up = "y";
    float environment_scale = 2;
    float min_metallic = 0, max_metallic = 0.9f, min_roughness = 0.08f, max_roughness = 0.9f;
    bool use_bump = true, reference_light_weights = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("material_activation", material_activation, any(), "makes all properties");
      v("environment_texture", environment_texture, any(),
        "lat-long Radiance picture (.hdr) of the light; where the default's file is absent, a built-in sky");
      v("environment_scale", environment_scale, non_negative(), "times the picture's or the sky's light");
      v("min_metallic", min_metallic, in_range(0, 1), "lowest");
      v("max_metallic", max_metallic, in_range(0, 1), "highest");
      v("min_roughness", min_roughness, in_range(0, 1), "lowest");
      v("max_roughness", max_roughness, in_range(0, 1), "highest");
      v("use_bump", use_bump, any(), "features bend the normal; needs tangents");
      v("environment_up", environment_up, one_of({"y", "z"}),
        "the scene's axis that the picture's upper edge lies towards: y in threestudio, z upright; not "
        "threestudio's");
      v("reference_light_weights", reference_light_weights, any(),
        "weigh the light's texels as threestudio does, which makes it 5 to 12 % brighter; not threestudio's");
    }
  };
  /// Throws as check_environment and io::read_hdr do.
  PbrMaterial(const Config& config, const field::BuildContext& context);
  /// With a light and a table [n,n,2] (fg_table.h) of the caller's own in place of the config's.
  PbrMaterial(const Config& config, std::shared_ptr<const EnvironmentLight> light, const at::Tensor& table);

  /// Throws SystemError where environment_texture names a file that is not there; the default's may be
  /// absent.
  static void check_environment(const std::string& path);

  bool requires_normal() const override { return true; }
  bool requires_tangent() const override { return config_.use_bump; }
  at::Tensor operator()(const ShadingInput& input, Rng& rng) const override;
  /// albedo, metallic, roughness, and bump where it is used.
  MaterialMaps maps(const at::Tensor& features) const override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  struct Properties {
    at::Tensor albedo, metallic, roughness;  // [N,3], [N,1], [N,1]
    at::Tensor bump;                         // [N,3] unit, in the frame of the surface; undefined without
  };
  Properties properties_of(const at::Tensor& features) const;

  Config config_;
  field::ActivationFunction activation_;
  std::shared_ptr<const EnvironmentLight> light_;
  at::Tensor table_;  // [1,n,n,2]
};

}  // namespace t3d::shading
