#pragma once

#include <array>
#include <functional>

#include "t3d/core/config/fields.h"
#include "t3d/field/activation.h"
#include "t3d/shading/material.h"

namespace t3d::shading {

/// Lambertian shading by one point light, with random plain views in training. Poole et al. 2022,
/// DreamFusion, arXiv:2209.14988, section 3.1:
///
///   shade = ka + kd max(0, n . l),  l the unit direction to the light;  colour = albedo * shade
class DiffusePointLight : public Material {
 public:
  struct Config {
    std::array<float, 3> ambient_light_color = {0.1f, 0.1f, 0.1f}, diffuse_light_color = {0.9f, 0.9f, 0.9f};
    int64_t ambient_only_steps = 1000;
    float diffuse_prob = 0.75f, textureless_prob = 0.5f;
    std::string albedo_activation = "sigmoid";
    bool soft_shading = false, ambient_only_on_test = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("ambient_light_color", ambient_light_color, any(), "light from everywhere");
      v("diffuse_light_color", diffuse_light_color, any(), "the point light");
      v("ambient_only_steps", ambient_only_steps, non_negative(), "steps that see the albedo alone");
      v("diffuse_prob", diffuse_prob, in_range(0, 1), "how often a training view is shaded");
      v("textureless_prob", textureless_prob, in_range(0, 1), "how often a shaded view is without albedo");
      v("albedo_activation", albedo_activation, any(), "makes the albedo");
      v("soft_shading", soft_shading, any(), "the light's strength is drawn in training");
      v("ambient_only_on_test", ambient_only_on_test, any(), "the albedo alone outside of training");
    }
  };
  DiffusePointLight(const Config& config, const field::BuildContext& context);
  bool requires_normal() const override { return true; }
  void update_step(int64_t step) override { is_ambient_only_ = step < config_.ambient_only_steps; }
  at::Tensor operator()(const ShadingInput& input, Rng& rng) const override;
  /// The same with the numbers of training drawn by `uniform`, in [0,1): the light's strength, then whether
  /// the view is shaded, then whether it is without albedo. What is decided otherwise draws nothing.
  at::Tensor shade(const ShadingInput& input, const std::function<float()>& uniform) const;
  MaterialMaps maps(const at::Tensor& features) const override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  /// [N,3] of the first three channels, not clamped.
  at::Tensor albedo(const at::Tensor& features) const;
  std::string draw_mode(bool is_training, const std::function<float()>& uniform) const;

  Config config_;
  field::ActivationFunction activation_;
  at::Tensor ambient_, diffuse_;  // [3]
  bool is_ambient_only_ = true;
};

}  // namespace t3d::shading
