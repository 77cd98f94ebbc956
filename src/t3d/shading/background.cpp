#include "t3d/shading/background.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "t3d/field/activation.h"
#include "t3d/field/encoding.h"
#include "t3d/field/network.h"

namespace t3d::shading {
namespace {

using field::BuildContext;
using field::NamedTensors;

/// The keys of random backgrounds in training.
struct RandomColour {
  bool random_aug = false;
  float random_aug_prob = 0.5f;
  std::array<float, 2> random_aug_range = {0, 1};
  bool random_aug_grey = false, share_aug_bg = false;

  template <class V>
  void visit_random(V& v) {
    using namespace config;
    v("random_aug", random_aug, any(), "random colours in training");
    v("random_aug_prob", random_aug_prob, in_range(0, 1), "how often");
    v("random_aug_range", random_aug_range, in_range(0, 1), "between which values channels are drawn");
    v("random_aug_grey", random_aug_grey, any(), "all channels of a colour are the same");
    v("share_aug_bg", share_aug_bg, any(), "one colour for all images of a batch, not one for each");
  }

  /// With probability random_aug_prob in training the whole background becomes one random colour for each of
  /// the B images, without a gradient. Returns undefined otherwise.
  at::Tensor draw(const at::Tensor& directions, int n_channels, bool is_training, Rng& rng) const {
    if (!is_training || !random_aug || rng.uniform() >= random_aug_prob) return {};
    const int64_t n_images = directions.size(0), n_drawn = share_aug_bg ? 1 : n_images;
    auto colours = at::empty({n_drawn, 1, 1, n_channels}, at::kFloat);
    float* value = colours.data_ptr<float>();
    for (int64_t i = 0; i < colours.numel(); ++i)
      value[i] = random_aug_grey && i % n_channels != 0
                     ? value[i - 1]
                     : rng.uniform(random_aug_range[0], random_aug_range[1]);
    return colours.to(directions.device())
        .expand({n_images, directions.size(1), directions.size(2), n_channels});
  }
};

class SolidColorBackground : public Background {
 public:
  struct Config {
    int n_output_dims = 3;
    std::vector<float> color = {1, 1, 1};
    bool learned = false;
    RandomColour random;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_output_dims", n_output_dims, in_range(1, 128), "channels");
      v("color", color, any(), "one number for each channel");
      v("learned", learned, any(), "the colour is a parameter");
      random.visit_random(v);
    }
  };
  SolidColorBackground(const Config& config, const BuildContext& context) : config_(config) {
    if (static_cast<int>(config.color.size()) != config.n_output_dims)
      throw UserError(cat("background.color has ", config.color.size(), " numbers, but n_output_dims is ",
                          config.n_output_dims, ". Give one number for each channel."));
    color_ = at::tensor(config.color).to(context.device);
    if (config.learned) field::learned(color_);
  }
  at::Tensor operator()(const at::Tensor& d, bool is_training, Rng& rng) const override {
    const auto random = config_.random.draw(d, config_.n_output_dims, is_training, rng);
    if (random.defined()) return random;
    return color_.expand({d.size(0), d.size(1), d.size(2), config_.n_output_dims});
  }
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override {
    (config_.learned ? parameters : buffers).emplace(prefix + "env_color", color_);
  }

 private:
  Config config_;
  at::Tensor color_;  // [C]
};

class NeuralEnvironmentMap : public Background {
 public:
  struct Config {
    int n_output_dims = 3;
    std::string color_activation = "sigmoid";
    config::Node dir_encoding_config = default_encoding(), mlp_network_config = default_network();
    RandomColour random;
    std::optional<std::vector<float>> eval_color;

    static config::Node default_encoding() {
      config::Node n;
      n.set("otype", config::Node(std::string("SphericalHarmonics")));
      n.set("degree", config::Node(int64_t{3}));
      return n;
    }
    static config::Node default_network() {
      config::Node n;
      n.set("otype", config::Node(std::string("VanillaMLP")));
      n.set("activation", config::Node(std::string("ReLU")));
      n.set("n_neurons", config::Node(int64_t{16}));
      n.set("n_hidden_layers", config::Node(int64_t{2}));
      return n;
    }
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_output_dims", n_output_dims, in_range(1, 128), "channels");
      v("color_activation", color_activation, any(), "makes the colour");
      v("dir_encoding_config", dir_encoding_config, any(), "encoding of directions");
      v("mlp_network_config", mlp_network_config, any(), "network behind it");
      random.visit_random(v);
      v("eval_color", eval_color, any(), "one colour instead, outside of training");
    }
  };
  NeuralEnvironmentMap(const Config& config, const BuildContext& context)
      : config_(config),
        encoding_(field::make_encoding(3, config.dir_encoding_config, "background.dir_encoding_config",
                                       context.part("encoding"))),
        network_(field::make_network(encoding_->n_outputs(), config.n_output_dims, config.mlp_network_config,
                                     "background.mlp_network_config", context.part("network"))),
        activation_(field::activation_by_name(config.color_activation, "background.color_activation")) {
    if (config.eval_color && static_cast<int>(config.eval_color->size()) != config.n_output_dims)
      throw UserError(cat("background.eval_color has ", config.eval_color->size(),
                          " numbers, but n_output_dims is ", config.n_output_dims,
                          ". Give one number for each channel."));
  }
  at::Tensor operator()(const at::Tensor& d, bool is_training, Rng& rng) const override {
    const std::vector<int64_t> shape = {d.size(0), d.size(1), d.size(2), config_.n_output_dims};
    if (!is_training && config_.eval_color)
      return at::tensor(*config_.eval_color).to(d.device()).expand(shape);
    const auto random = config_.random.draw(d, config_.n_output_dims, is_training, rng);
    if (random.defined()) return random;
    const auto u = (d.reshape({-1, 3}) + 1) / 2;
    return activation_((*network_)((*encoding_)(u))).reshape(shape);
  }
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override {
    encoding_->collect(prefix + "encoding.encoding.", parameters, buffers);
    network_->collect(prefix + "network.", parameters, buffers);
  }
  void update_step(int64_t step) override { encoding_->update_step(step); }

 private:
  Config config_;
  std::unique_ptr<field::Encoding> encoding_;
  std::unique_ptr<field::Network> network_;
  field::ActivationFunction activation_;
};

/// A learned texture around the scene: u along the polar angle, v along the azimuth.
class TexturedBackground : public Background {
 public:
  struct Config {
    int n_output_dims = 3, height = 64, width = 64;
    std::string color_activation = "sigmoid";
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_output_dims", n_output_dims, in_range(1, 128), "channels");
      v("height", height, in_range(1, 8192), "texels along the azimuth");
      v("width", width, in_range(1, 8192), "texels along the polar angle");
      v("color_activation", color_activation, any(), "makes the colour");
    }
  };
  TexturedBackground(const Config& config, const BuildContext& context)
      : config_(config),
        activation_(field::activation_by_name(config.color_activation, "background.color_activation")) {
    auto texture = at::empty({1, config.n_output_dims, config.height, config.width}, at::kFloat);
    Rng rng(context.seed);
    for (int64_t i = 0; i < texture.numel(); ++i) texture.data_ptr<float>()[i] = rng.normal();
    texture_ = field::learned(texture.to(context.device));
  }
  at::Tensor operator()(const at::Tensor& d, bool, Rng&) const override {
    constexpr double kPi = 3.14159265358979323846;
    constexpr int64_t kBilinear = 0, kReflection = 2;
    const auto x = d.select(-1, 0), y = d.select(-1, 1), z = d.select(-1, 2);  // [B,H,W]
    const auto u = at::atan2((x * x + y * y).sqrt(), z) / kPi;
    const auto v = at::atan2(y, x) / (2 * kPi) + 0.5;
    const auto where = (at::stack({u, v}, -1) * 2 - 1).reshape({1, -1, 1, 2});
    const auto colour = at::grid_sampler(texture_, where, kBilinear, kReflection, /*align_corners=*/false);
    return activation_(colour.reshape({config_.n_output_dims, -1}).t())
        .reshape({d.size(0), d.size(1), d.size(2), config_.n_output_dims});
  }
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors&) const override {
    parameters.emplace(prefix + "texture", texture_);
  }

 private:
  Config config_;
  field::ActivationFunction activation_;
  at::Tensor texture_;  // [1,C,H,W]
};

}  // namespace

BackgroundRegistry& backgrounds() {
  using R = BackgroundRegistry;
  static R table(
      "background", "what a ray sees behind everything (system.background_type)",
      {R::entry<SolidColorBackground>("solid-color-background", "one colour"),
       R::entry<NeuralEnvironmentMap>("neural-environment-map-background", "a colour for each direction"),
       R::entry<TexturedBackground>("textured-background", "a learned texture around the scene")});
  return table;
}

}  // namespace t3d::shading
