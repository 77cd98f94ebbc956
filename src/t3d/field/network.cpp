#include "t3d/field/network.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "t3d/core/rng.h"
#include "t3d/field/activation.h"
#include "t3d/field/encoding.h"
#include "t3d/ops/mlp.h"

namespace t3d::field {
namespace {

/// Whether the fused kernels of ops::mlp have this shape.
bool is_fused_shape(int n_in, int n_out, int n_neurons, int n_hidden) {
  return n_in <= 1024 && n_out <= 128 && n_neurons % 16 == 0 && n_neurons >= 16 && n_neurons <= 128 &&
         n_hidden >= 1 && n_hidden <= 4;
}

constexpr const char* kPrecisionHelp =
    "of the products on the CPU; auto: bfloat16 where the processor is faster with it";

std::vector<int> widths(int n_in, int n_out, int n_neurons, int n_hidden) {
  std::vector<int> all{n_in};
  all.insert(all.end(), static_cast<size_t>(n_hidden), n_neurons);
  all.push_back(n_out);
  return all;
}

at::Tensor uniform(const std::vector<int64_t>& shape, double bound, const BuildContext& context) {
  auto t = at::empty(shape, at::kFloat);
  Rng rng(context.seed);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data_ptr<float>()[i] = rng.uniform(static_cast<float>(-bound), static_cast<float>(bound));
  return t.to(context.device);
}

/// Linear layers without biases and ReLU between them. Weights [out,in] are kept apart, so that a checkpoint
/// names them as threestudio does, and are joined for the fused kernels.
class ReluNetwork : public Network {
 public:
  enum class Start { FanIn, Xavier };

  ReluNetwork(int n_in, int n_out, int n_neurons, int n_hidden, const std::string& output_activation,
              const std::string& precision, Start start, const BuildContext& context)
      : output_(activation_by_name(output_activation, "mlp_network_config.output_activation")) {
    const std::vector<int> w = widths(n_in, n_out, n_neurons, n_hidden);
    for (size_t i = 0; i + 1 < w.size(); ++i) {
      const double bound = start == Start::FanIn ? 1 / std::sqrt(w[i]) : std::sqrt(6.0 / (w[i] + w[i + 1]));
      weights_.push_back(
          learned(uniform({w[i + 1], w[i]}, bound, context.part("layers." + std::to_string(2 * i)))));
    }
    fused_ = is_fused_shape(n_in, n_out, n_neurons, n_hidden);
    config_.n_in = n_in, config_.n_out = n_out;
    config_.n_neurons = n_neurons, config_.n_hidden_layers = n_hidden;
    if (fused_ && context.device.is_cpu()) config_.precision = ops::precision_from_name(precision);
  }

  int n_outputs() const override { return config_.n_out; }

  at::Tensor operator()(const at::Tensor& x) const override {
    if (fused_ && x.is_cpu()) {
      std::vector<at::Tensor> flat;
      for (const at::Tensor& w : weights_) flat.push_back(w.reshape(-1));
      return output_(ops::mlp(x, at::cat(flat), config_));
    }
    at::Tensor h = x;
    for (size_t i = 0; i < weights_.size(); ++i) {
      h = at::matmul(h, weights_[i].t());
      if (i + 1 < weights_.size()) h = at::relu(h);
    }
    return output_(h);
  }

  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors&) const override {
    for (size_t i = 0; i < weights_.size(); ++i)
      parameters.emplace(cat(prefix, "layers.", 2 * i, ".weight"), weights_[i]);
  }

 private:
  std::vector<at::Tensor> weights_;
  ActivationFunction output_;
  ops::MlpConfig config_;
  bool fused_ = false;
};

class VanillaMlp : public ReluNetwork {
 public:
  struct Config {
    std::string activation = "ReLU", output_activation = "none", precision = "float32";
    int n_neurons = 64, n_hidden_layers = 1;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("activation", activation, ignored("hidden layers are always ReLU"), "of the hidden layers");
      v("output_activation", output_activation, any(), "after the last layer");
      v("n_neurons", n_neurons, in_range(1, 4096), "width of the hidden layers");
      v("n_hidden_layers", n_hidden_layers, in_range(0, 64), "hidden layers");
      v("precision", precision, one_of({"auto", "float32", "bfloat16"}), kPrecisionHelp);
    }
  };
  VanillaMlp(const Config& c, int n_in, int n_out, const BuildContext& context)
      : ReluNetwork(n_in, n_out, c.n_neurons, c.n_hidden_layers, c.output_activation, c.precision,
                    Start::FanIn, context) {}
};

/// tiny-cuda-nn's two network types: the same function, another start.
class TcnnMlp : public ReluNetwork {
 public:
  struct Config {
    std::string activation = "ReLU", output_activation = "None", precision = "float32";
    int n_neurons = 64, n_hidden_layers = 2;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("activation", activation, one_of({"ReLU"}), "of the hidden layers");
      v("output_activation", output_activation, any(), "after the last layer");
      v("n_neurons", n_neurons, in_range(1, 4096), "width of the hidden layers");
      v("n_hidden_layers", n_hidden_layers, in_range(0, 64), "hidden layers");
      v("precision", precision, one_of({"auto", "float32", "bfloat16"}), kPrecisionHelp);
    }
  };
  TcnnMlp(const Config& c, int n_in, int n_out, const BuildContext& context)
      : ReluNetwork(n_in, n_out, c.n_neurons, c.n_hidden_layers,
                    c.output_activation == "Exponential" ? "exp" : c.output_activation, c.precision,
                    Start::Xavier, context) {}
};

/// Starts as the signed distance to a sphere. Atzmon and Lipman 2020, SAL, arXiv:1911.10414, theorem 1;
/// weight normalisation as in Salimans and Kingma 2016: w = g v / |v|, row by row.
class SphereInitMlp : public Network {
 public:
  struct Config {
    std::string activation = "softplus", output_activation = "none";
    int n_neurons = 64, n_hidden_layers = 1;
    float sphere_init_radius = 0.5f;
    bool inside_out = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("activation", activation, ignored("hidden layers are softplus with beta 100"),
        "of the hidden layers");
      v("output_activation", output_activation, any(), "after the last layer");
      v("n_neurons", n_neurons, in_range(1, 4096), "width of the hidden layers");
      v("n_hidden_layers", n_hidden_layers, in_range(1, 64), "hidden layers");
      v("sphere_init_radius", sphere_init_radius, positive(), "radius of the first surface");
      v("inside_out", inside_out, any(), "the sphere encloses the scene");
    }
  };

  SphereInitMlp(const Config& c, int n_in, int n_out, const BuildContext& context)
      : n_out_(n_out),
        output_(activation_by_name(c.output_activation, "mlp_network_config.output_activation")) {
    const std::vector<int> w = widths(n_in, n_out, c.n_neurons, c.n_hidden_layers);
    const float sign = c.inside_out ? -1.f : 1.f;
    for (size_t i = 0; i + 1 < w.size(); ++i) {
      const bool is_last = i + 2 == w.size();
      auto v = at::zeros({w[i + 1], w[i]}, at::kFloat);  // [out,in]
      auto bias = at::zeros({w[i + 1]}, at::kFloat);
      Rng rng(context.part("layers." + std::to_string(2 * i)).seed);
      const int n_used = i == 0 ? std::min(3, w[0]) : w[i];
      for (int64_t row = 0; row < w[i + 1]; ++row)
        for (int64_t column = 0; column < n_used; ++column) {
          const float normal = rng.normal();
          v.data_ptr<float>()[row * w[i] + column] =
              is_last ? sign * std::sqrt(3.14159265358979f / static_cast<float>(w[i])) + 1e-4f * normal
                      : std::sqrt(2.f / static_cast<float>(w[i + 1])) * normal;
        }
      if (is_last) bias.fill_(-sign * c.sphere_init_radius);
      layers_.push_back({learned(v.norm(2, at::IntArrayRef{1}, true).to(context.device)),
                         learned(v.to(context.device)), learned(bias.to(context.device))});
    }
  }

  int n_outputs() const override { return n_out_; }

  at::Tensor operator()(const at::Tensor& x) const override {
    at::Tensor h = x;
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& l = layers_[i];
      const auto w = l.g * l.v / l.v.norm(2, at::IntArrayRef{1}, true);  // [out,in]
      h = at::linear(h, w, l.bias);
      if (i + 1 < layers_.size()) h = at::softplus(h, 100);
    }
    return output_(h);
  }

  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors&) const override {
    for (size_t i = 0; i < layers_.size(); ++i) {
      const std::string at = cat(prefix, "layers.", 2 * i, ".");
      parameters.emplace(at + "weight_g", layers_[i].g);
      parameters.emplace(at + "weight_v", layers_[i].v);
      parameters.emplace(at + "bias", layers_[i].bias);
    }
  }

 private:
  struct Layer {
    at::Tensor g;     // [out,1]
    at::Tensor v;     // [out,in]
    at::Tensor bias;  // [out]
  };
  int n_out_;
  std::vector<Layer> layers_;
  ActivationFunction output_;
};

}  // namespace

NetworkRegistry& networks() {
  using R = NetworkRegistry;
  static R table(
      "network", "small networks behind an encoding, by otype",
      {R::entry<VanillaMlp>("VanillaMLP", "linear layers without biases, ReLU between them"),
       R::entry<SphereInitMlp>("SphereInitVanillaMLP", "starts as the signed distance to a sphere"),
       R::entry<TcnnMlp>("FullyFusedMLP", "tiny-cuda-nn's network and start"),
       R::entry<TcnnMlp>("CutlassMLP", "the same under tiny-cuda-nn's other name")});
  return table;
}

std::unique_ptr<Network> make_network(int n_in, int n_out, const config::Node& block, const std::string& path,
                                      const BuildContext& context) {
  return networks().make(read_otype(block, path), without_keys(block, {"otype"}), path, n_in, n_out, context);
}

}  // namespace t3d::field
