#include "t3d/diffusion/autoencoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/ops/matrix_unit.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::diffusion {
namespace {

using testing::golden_path;
using testing::GoldenCases;
using ::testing::HasSubstr;
using testing::max_relative_error;
using testing::record_golden;

Autoencoder read(const std::string& model, at::ScalarType type = at::kFloat) {
  const testing::GoldenOptions options(model + "/cases_vae.safetensors");
  const std::string folder = golden_path(options.text("pretrained_model_name_or_path") + "/");
  const auto weights =
      Weights::from(safetensors_source(folder + "diffusion_pytorch_model.safetensors"), type);
  Autoencoder vae(read_autoencoder_config(folder + "config.json"), weights);
  weights.check();
  return vae;
}

void expect_close(const std::string& name, const at::Tensor& found, const at::Tensor& expected) {
  const double error = max_relative_error(found, expected);
  record_golden(name, error);
  EXPECT_LT(error, 1e-4) << name;
}

class GoldenAutoencoder : public ::testing::TestWithParam<std::tuple<const char*, bool>> {};

TEST_P(GoldenAutoencoder, EncodesDecodesAndDifferentiates) {
  const std::string model = std::get<0>(GetParam());
  T3D_NEED_CASES(model + "/cases_vae.safetensors");
  const GoldenCases cases(model + "/cases_vae.safetensors");
  Autoencoder vae = read(model);
  vae.recompute = vae.slicing = std::get<1>(GetParam());
  const std::string name = model + "/vae.";
  const auto grad = [](const at::Tensor& y, const at::Tensor& x) {
    return torch::autograd::grad({y}, {x}, {}, /*retain_graph=*/true)[0];
  };

  const auto image = cases.tensor("image").clone().set_requires_grad(true);
  const Posterior posterior = vae.encode(image);
  expect_close(name + "mean", posterior.mean, cases.tensor("mean"));
  expect_close(name + "logvar", posterior.logvar, cases.tensor("logvar"));
  const auto sum = (posterior.mean * cases.tensor("R1") + posterior.logvar * cases.tensor("R2")).sum();
  expect_close(name + "grad.image", grad(sum, image), cases.tensor("grad.image"));
  const auto latents = vae.to_latents(image, cases.tensor("noise"));
  expect_close(name + "latents", latents, cases.tensor("latents"));
  expect_close(name + "grad.image.latents", grad((latents * cases.tensor("R1")).sum(), image),
               cases.tensor("grad.image.latents"));

  const auto z = cases.tensor("z").clone().set_requires_grad(true);
  const auto decoded = vae.decode(z);
  expect_close(name + "decoded", decoded, cases.tensor("decoded"));
  expect_close(name + "grad.z", grad((decoded * cases.tensor("R3")).sum(), z), cases.tensor("grad.z"));

  const Posterior nonsquare = vae.encode(cases.tensor("nonsquare.image"));
  expect_close(name + "nonsquare.mean", nonsquare.mean, cases.tensor("nonsquare.mean"));
  expect_close(name + "nonsquare.logvar", nonsquare.logvar, cases.tensor("nonsquare.logvar"));
  expect_close(name + "nonsquare.decoded", vae.decode(cases.tensor("nonsquare.mean")),
               cases.tensor("nonsquare.decoded"));
  expect_close(name + "odd.mean", vae.encode(cases.tensor("odd.image")).mean, cases.tensor("odd.mean"));
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenAutoencoder,
                         ::testing::Combine(::testing::Values("sd1-tiny", "sd2-tiny"),
                                            ::testing::Values(false, true)));

TEST(GoldenAutoencoderTypes, LowPrecisionStaysNear) {
  T3D_NEED_CASES("sd1-tiny/cases_vae.safetensors");
  for (const std::string model : {"sd1-tiny", "sd2-tiny"}) {
    const GoldenCases cases(model + "/cases_vae.safetensors");
    for (const auto type : {at::kHalf, at::kBFloat16}) {
      Autoencoder vae = read(model, type);
      vae.compute_type = type == at::kHalf ? at::kFloat : type;
      constexpr double kBar = 2e-2;
      const auto off = [&](const at::Tensor& found, const std::string& expected) {
        const auto e = cases.tensor(expected);
        return ((found - e).norm() / e.norm()).item<double>();
      };
      const c10::NoGradGuard no_grad;
      const std::string label = model + (type == at::kHalf ? "/vae.half" : "/vae.bfloat16");
      const double mean = off(vae.encode(cases.tensor("image")).mean, "mean");
      const double decoded = off(vae.decode(cases.tensor("z")), "decoded");
      record_golden(label + " mean (norm)", mean);
      record_golden(label + " decoded (norm)", decoded);
      EXPECT_LT(mean, kBar) << label;
      EXPECT_LT(decoded, kBar) << label;
    }
  }
}

/// Stable Diffusion's layers with a quarter of the channels, and no layer that starts as zero.
std::map<std::string, at::Tensor> narrow_weights(const AutoencoderConfig& config, uint64_t seed) {
  const auto drawn = Weights::random(seed);
  Autoencoder(config, drawn);
  at::manual_seed(seed);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : drawn.parameters()) {
    const bool is_zero = tensor.dim() > 1 && tensor.abs().max().item<float>() == 0;
    const double fan_in = static_cast<double>(tensor.numel()) / static_cast<double>(tensor.size(0));
    tensors[name] = is_zero ? at::randn_like(tensor) / std::sqrt(3 * fan_in) : tensor;
  }
  return tensors;
}

TEST(Autoencoder, ThePackedEncodersGradientStaysNearSinglePrecision) {
  if (!ops::has_fast_matrix_unit()) GTEST_SKIP() << "this CPU packs no weights";
  AutoencoderConfig config;
  config.block_channels = {32, 64, 128, 128};
  config.norm_groups = 8;
  double all = 0, arithmetic = 0;  // squares
  constexpr int kSeeds = 6;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto tensors = narrow_weights(config, seed);
    auto rounded = tensors;
    for (auto& [name, tensor] : rounded) tensor = tensor.to(at::kBFloat16).to(at::kFloat);
    const auto picture = at::rand({1, 3, 64, 64}) * 2 - 1, direction = at::randn({1, 4, 8, 8});
    const auto gradient = [&](const std::map<std::string, at::Tensor>& weights, at::ScalarType type) {
      Autoencoder vae(config, Weights::from_tensors(weights, type));
      vae.pack();
      const auto image = picture.clone().set_requires_grad(true);
      return torch::autograd::grad({vae.encode(image).mean}, {image}, {direction})[0];
    };
    const auto off = [](const at::Tensor& found, const at::Tensor& truth) {
      return ((found - truth).square().sum() / truth.square().sum()).item<double>();
    };
    all += off(gradient(tensors, at::kBFloat16), gradient(tensors, at::kFloat)) / kSeeds;
    arithmetic += off(gradient(rounded, at::kBFloat16), gradient(rounded, at::kFloat)) / kSeeds;
  }
  // 1.77e-2 and 1.32e-2; with gradients rounded between norms and convolutions and halving convolutions that
  // round their results, 1.97e-2 and 1.54e-2.
  EXPECT_LT(std::sqrt(all), 1.87e-2);
  EXPECT_LT(std::sqrt(arithmetic), 1.43e-2);
}

/// Largest sizes that take every kind of kernel, and odd ones.
TEST(Autoencoder, PackedInFloatItIsTheSameFunctionWithTheSameGradient) {
  AutoencoderConfig config;
  config.block_channels = {32, 48, 64};
  config.layers_per_block = 1;
  config.norm_groups = 8;
  const auto tensors = narrow_weights(config, 3);
  const auto off = [](const at::Tensor& found, const at::Tensor& truth) {
    return ((found.to(at::kDouble) - truth).norm() / truth.norm()).item<double>();
  };
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{64, 64}, {37, 50}, {5, 4}}) {
    const auto picture = at::rand({2, 3, height, width}) * 2 - 1;
    const auto direction = at::randn({2, 4, height / 4, width / 4});
    const auto run = [&](at::ScalarType type, bool is_packed) {
      Autoencoder vae(config, Weights::from_tensors(tensors, type));
      if (is_packed) vae.pack();
      const auto image = picture.to(type).set_requires_grad(true);
      const auto mean = vae.encode(image).mean;
      const auto gradient = torch::autograd::grad({mean}, {image}, {direction.to(type)})[0];
      const c10::NoGradGuard no_grad;
      return std::vector<at::Tensor>{mean.detach(), gradient, vae.decode(direction.to(type))};
    };
    const auto truth = run(at::kDouble, false), plain = run(at::kFloat, false), packed = run(at::kFloat, true);
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_EQ(packed[i].sizes(), plain[i].sizes());
      EXPECT_LT(off(packed[i], truth[i]), 2e-5) << i << " of " << height << " x " << width << ", not packed "
                                                << off(plain[i], truth[i]);
    }
  }
}

TEST(Autoencoder, TilesBlendToTheWholeWhereTheBodyIsLocal) {
  const auto x = at::randn({2, 3, 40, 72}).set_requires_grad(true);
  const auto halved = [](const at::Tensor& t) { return at::avg_pool2d(t, {4, 4}); };
  const auto tiled = in_tiles(x, 16, 8, 1, 4, halved);
  EXPECT_LT((tiled - halved(x)).abs().max().item<float>(), 1e-6);
  const auto grad = torch::autograd::grad({tiled.sum()}, {x})[0];
  EXPECT_LT((grad - 1.0 / 16).abs().max().item<float>(), 1e-6);
  const auto grown = in_tiles(x, 16, 4, 2, 1, doubled);
  EXPECT_LT((grown - doubled(x)).abs().max().item<float>(), 1e-6);
}

TEST(Autoencoder, TilingKeepsTheShape) {
  AutoencoderConfig c;
  c.block_channels = {8, 8};
  c.layers_per_block = 1;
  c.norm_groups = 4;
  Autoencoder vae(c, Weights::random(1));
  const c10::NoGradGuard no_grad;
  const auto image = at::rand({1, 3, 50, 33});
  const auto whole = vae.encode(image).mean;
  vae.tiling = true;
  vae.tile_pixels = 16;
  vae.tile_overlap_pixels = 8;
  EXPECT_EQ(vae.encode(image).mean.sizes(), whole.sizes());
  EXPECT_EQ(vae.decode(whole).sizes(), (at::IntArrayRef{1, 3, 50, 32}));
  EXPECT_THROW(vae.encode(at::rand({1, 4, 50, 33})), UserError);
  EXPECT_THROW(vae.encode(at::rand({1, 3, 1, 33})), UserError);
}

TEST(AutoencoderConfig, WritesWhatItReadsAndRefusesTheRest) {
  const auto once = autoencoder_config_json(AutoencoderConfig{});
  EXPECT_EQ(autoencoder_config_json(autoencoder_config_from_json(once, "x")), once);
  const auto message_of = [](const nlohmann::json& config) -> std::string {
    try {
      autoencoder_config_from_json(config, "vae/config.json");
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(message_of({{"_class_name", "VQModel"}}),
              HasSubstr("vae/config.json: _class_name is \"VQModel\""));
  EXPECT_THAT(message_of({{"model_type", "clip"}}), HasSubstr("so it is no config of an autoencoder"));
}

}  // namespace
}  // namespace t3d::diffusion
