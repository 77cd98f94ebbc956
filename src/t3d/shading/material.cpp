#include "t3d/shading/material.h"

#include <ATen/ATen.h>

#include <array>

#include "t3d/field/activation.h"
#include "t3d/field/network.h"

namespace t3d::shading {
namespace {

using field::BuildContext;
using field::NamedTensors;

class NoMaterial : public Material {
 public:
  struct Config {
    int n_output_dims = 3;
    std::string color_activation = "sigmoid";
    std::optional<int> input_feature_dims;
    config::Node mlp_network_config;
    bool requires_normal = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_output_dims", n_output_dims, in_range(1, 128), "channels");
      v("color_activation", color_activation, any(), "makes the colour");
      v("input_feature_dims", input_feature_dims, in_range(1, 1024),
        "channels of the features, with a network");
      v("mlp_network_config", mlp_network_config, any(), "network from features to colour");
      v("requires_normal", requires_normal, any(), "the geometry is asked for normals");
    }
  };
  NoMaterial(const Config& config, const BuildContext& context)
      : config_(config),
        activation_(field::activation_by_name(config.color_activation, "material.color_activation")) {
    if (config.input_feature_dims && !config.mlp_network_config.is_null())
      network_ =
          field::make_network(*config.input_feature_dims, config.n_output_dims, config.mlp_network_config,
                              "material.mlp_network_config", context.part("network"));
  }
  bool requires_normal() const override { return config_.requires_normal; }
  at::Tensor operator()(const ShadingInput& input, Rng&) const override { return colour(input.features); }
  at::Tensor albedo(const at::Tensor& features) const override {
    return colour(features).narrow(-1, 0, 3).clamp(0, 1);
  }
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override {
    if (network_) network_->collect(prefix + "network.", parameters, buffers);
  }

 private:
  at::Tensor colour(const at::Tensor& features) const {
    if (network_) return activation_((*network_)(features));
    if (!features.defined() || features.size(-1) != config_.n_output_dims)
      throw UserError(cat("the geometry gives ", features.defined() ? features.size(-1) : 0,
                          " feature channels, but the material has n_output_dims ", config_.n_output_dims,
                          ". Set geometry.n_feature_dims to it, or give the material a network."));
    return activation_(features);
  }

  Config config_;
  field::ActivationFunction activation_;
  std::unique_ptr<field::Network> network_;
};

/// Lambertian shading by one point light, with random plain views in training. Poole et al. 2022,
/// DreamFusion, section 3.1.
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
  DiffusePointLight(const Config& config, const BuildContext& context)
      : config_(config),
        activation_(field::activation_by_name(config.albedo_activation, "material.albedo_activation")),
        ambient_(at::tensor(at::ArrayRef<float>(config.ambient_light_color)).to(context.device)),
        diffuse_(at::tensor(at::ArrayRef<float>(config.diffuse_light_color)).to(context.device)) {
    update_step(0);
  }
  bool requires_normal() const override { return true; }
  void update_step(int64_t step) override { is_ambient_only_ = step < config_.ambient_only_steps; }

  at::Tensor operator()(const ShadingInput& in, Rng& rng) const override {
    const auto base = activation_(in.features.narrow(-1, 0, 3));  // [N,3]
    at::Tensor ka = ambient_, kd = diffuse_;                      // [3]
    if (in.ambient_ratio) {
      ka = at::full_like(ambient_, *in.ambient_ratio), kd = 1 - ka;
    } else if (in.is_training && config_.soft_shading) {
      kd = at::full_like(diffuse_, rng.uniform()), ka = 1 - kd;
    }
    const std::string mode = in.shading ? *in.shading : draw(in.is_training, rng);
    if (mode == "albedo") return base;
    const auto to_light = in.light_positions - in.positions;
    const auto l = to_light / to_light.norm(2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
    const auto shade = ka + kd * (in.shading_normal * l).sum(-1, true).clamp_min(0);  // [N,3]
    if (mode == "textureless") return shade;
    if (mode == "diffuse") return base.clamp(0, 1) * shade;
    throw UserError(cat("there is no shading named ", mode, ". Use albedo, textureless or diffuse."));
  }
  at::Tensor albedo(const at::Tensor& features) const override {
    return activation_(features.narrow(-1, 0, 3)).clamp(0, 1);
  }
  void collect(const std::string& prefix, NamedTensors&, NamedTensors& buffers) const override {
    buffers.emplace(prefix + "ambient_light_color", ambient_);
    buffers.emplace(prefix + "diffuse_light_color", diffuse_);
  }

 private:
  std::string draw(bool is_training, Rng& rng) const {
    if (!is_training) return is_ambient_only_ || config_.ambient_only_on_test ? "albedo" : "diffuse";
    if (is_ambient_only_ || rng.uniform() > config_.diffuse_prob) return "albedo";
    return rng.uniform() < config_.textureless_prob ? "textureless" : "diffuse";
  }

  Config config_;
  field::ActivationFunction activation_;
  at::Tensor ambient_, diffuse_;  // [3]
  bool is_ambient_only_ = true;
};

}  // namespace

MaterialRegistry& materials() {
  using R = MaterialRegistry;
  static R table("material", "from features to colour (system.material_type)",
                 {R::entry<NoMaterial>("no-material", "features are the colour"),
                  R::entry<DiffusePointLight>("diffuse-with-point-light-material",
                                              "Lambertian shading by one point light")});
  return table;
}

}  // namespace t3d::shading
