#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "t3d/core/error.h"
#include "t3d/guidance/stable_diffusion_vsd.h"
#include "tests/support/golden_cases.h"
#include "tests/support/small_models.h"

namespace t3d::guidance {
namespace {

using ::testing::HasSubstr;
using testing::max_relative_error;
using testing::some_prompt;
using testing::toybox_like;
using testing::views_around;

/// A context whose models are small ones; counts how many are opened.
GuidanceContext small_models(bool takes_cameras, int* n_opened = nullptr) {
  GuidanceContext context;
  context.seed = 7;
  context.open = [takes_cameras, n_opened](const ModelRequest&) {
    if (n_opened != nullptr) ++*n_opened;
    return toybox_like(8, takes_cameras);
  };
  return context;
}

Views latent_views(int64_t n) {
  auto views = views_around(at::randn({n, 8, 8, 4}).requires_grad_());
  views.is_latent = true;
  return views;
}

NamedTensors parameters_of(const Guidance& guidance) {
  NamedTensors parameters, buffers;
  guidance.collect("guidance.", parameters, buffers);
  return parameters;
}

std::string message_of(StableDiffusionVsd::Config config, bool takes_cameras) {
  try {
    StableDiffusionVsd(config, small_models(takes_cameras));
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Vsd, OneNameIsOneUNetAndTwoNamesAreTwo) {
  StableDiffusionVsd::Config config;
  int n_opened = 0;
  StableDiffusionVsd(config, small_models(false, &n_opened));
  EXPECT_EQ(n_opened, 2);
  config.pretrained_model_name_or_path_lora = config.pretrained_model_name_or_path;
  n_opened = 0;
  StableDiffusionVsd(config, small_models(false, &n_opened));
  EXPECT_EQ(n_opened, 1);
}

TEST(Vsd, ParametersHaveTheReferencesNames) {
  const auto names = [](bool takes_cameras) {
    std::vector<std::string> all;
    for (const auto& [name, tensor] : parameters_of(StableDiffusionVsd({}, small_models(takes_cameras)))) {
      EXPECT_TRUE(tensor.requires_grad()) << name;
      EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
      all.push_back(name);
    }
    return all;
  };
  const auto plain = names(false);
  EXPECT_THAT(plain, ::testing::Contains("guidance.camera_embedding.linear_1.weight"));
  EXPECT_THAT(plain, ::testing::Contains("guidance.lora_layers.layers.0.to_q_lora.down.weight"));
  // 2 levels with 1 transformer down, 2 up, 1 in the middle, 2 attentions each, 8 tensors each.
  EXPECT_EQ(plain.size(), 8u * 2 * (2 + 4 + 1) + 4);
  EXPECT_EQ(names(true).size(), 8u * 2 * (2 + 4 + 1));  // the model's own camera input serves
}

TEST(Vsd, ANewScoreIsTheModelItself) {
  // Then only the guidance term is left: w (s - 1) (text - negative), and nothing at guidance 1.
  StableDiffusionVsd::Config config;
  config.n_view = 4;
  config.guidance_scale = 1;
  config.view_dependent_prompting = false;
  StableDiffusionVsd guidance(config, small_models(true));
  Rng rng(1);
  const auto prompt = some_prompt();
  EXPECT_LT(guidance(latent_views(4), prompt, rng).metrics.at("grad_norm").item<double>(), 1e-4);
  config.guidance_scale = 3;
  StableDiffusionVsd guided(config, small_models(true));
  EXPECT_GT(guided(latent_views(4), prompt, rng).metrics.at("grad_norm").item<double>(), 1e-2);
}

TEST(Vsd, EachLossReachesWhatItIsFor) {
  StableDiffusionVsd guidance({}, small_models(false));
  Rng rng(2);
  const auto views = latent_views(2);
  const auto out = guidance(views, some_prompt(), rng);
  out.losses.at("loss_vsd").backward();
  EXPECT_GT(views.rgb.grad().abs().max().item<double>(), 0);
  for (const auto& [name, tensor] : parameters_of(guidance)) EXPECT_FALSE(tensor.grad().defined()) << name;
  const auto before = views.rgb.grad().clone();
  out.losses.at("loss_lora").backward();
  EXPECT_TRUE(at::equal(views.rgb.grad(), before));
  for (const auto& [name, tensor] : parameters_of(guidance)) EXPECT_TRUE(tensor.grad().defined()) << name;
}

TEST(Vsd, LearnsTheScoreOfWhatItIsShown) {
  StableDiffusionVsd::Config config;
  config.lora_n_timestamp_samples = 2;
  StableDiffusionVsd guidance(config, small_models(false));
  const auto views = latent_views(2);
  const auto prompt = some_prompt();
  const auto loss_at = [&](uint64_t seed) {
    Rng rng(seed);
    return guidance(views, prompt, rng).losses.at("loss_lora");
  };
  const auto mean_loss = [&] {
    const c10::NoGradGuard no_grad;
    double sum = 0;
    for (uint64_t seed = 100; seed < 108; ++seed) sum += loss_at(seed).item<double>();
    return sum / 8;
  };
  const auto parameters = parameters_of(guidance);
  const double before = mean_loss();
  std::map<std::string, at::Tensor> squares;
  for (uint64_t step = 0; step < 60; ++step) {
    loss_at(step).backward();
    const c10::NoGradGuard no_grad;
    for (const auto& [name, p] : parameters) {  // RMSprop: the two halves of a pair have very different sizes
      auto& square = squares[name];
      square = square.defined() ? square * 0.9 + 0.1 * p.grad().square() : p.grad().square();
      p.detach().sub_(3e-3 * p.grad() / (square.sqrt() + 1e-8));
      p.grad().zero_();
    }
  }
  EXPECT_LT(mean_loss(), 0.95 * before);
}

TEST(Vsd, CameraConditionIsTheMatrixThatIsAskedFor) {
  StableDiffusionVsd::Config config;
  const auto prompt = some_prompt();
  const auto views = latent_views(1);
  const auto loss = [&](const char* type, const Views& seen) {
    config.camera_condition_type = type;
    config.lora_cfg_training = false;
    StableDiffusionVsd guidance(config, small_models(false));
    Rng rng(3);
    return guidance(seen, prompt, rng).losses.at("loss_lora").item<double>();
  };
  auto other = views;
  other.mvp = views.mvp + 1;
  EXPECT_EQ(loss("extrinsics", views), loss("extrinsics", other));
  EXPECT_NE(loss("mvp", views), loss("mvp", other));
}

TEST(Vsd, SaysWhatCannotBeDone) {
  StableDiffusionVsd::Config config;
  config.n_view = 4;
  EXPECT_THAT(message_of(config, false), HasSubstr("takes one picture at a time"));
}

TEST(StableDiffusionSds, EqualsVsdWhenTheScoreIsTheNoise) {
  // A score that answers with the noise that was added makes VSD into SDS.
  struct Noise : diffusion::Denoiser {
    at::Tensor predict(const at::Tensor&, const at::Tensor&, const diffusion::Condition&) const override {
      return noise;
    }
    diffusion::Prediction prediction() const override { return diffusion::Prediction::Epsilon; }
    at::Tensor noise;
  };
  const auto model = toybox_like(8, false);
  const auto score = std::make_shared<Noise>();
  score->noise = at::randn({2, 4, 8, 8});
  const auto t = Timesteps::of({100, 700}, at::kCPU);
  const auto views = latent_views(2);
  const auto prompt = some_prompt();
  StableDiffusionVsd::Config vsd;
  vsd.guidance_scale = 6;
  StableDiffusionSds::Config sds;
  sds.guidance_scale = 5;  // threestudio's count
  const auto by_vsd = StableDiffusionVsd(vsd, model, {score, model->schedule, {}, false})
                          .distill(views, prompt, {t, score->noise, {}, {}, {}, false});
  const auto by_sds = StableDiffusionSds(sds, model).distill(views, prompt, {t, score->noise, {}});
  EXPECT_EQ(by_vsd.losses.count("loss_lora"), 0u);
  EXPECT_LT(max_relative_error(by_vsd.losses.at("loss_vsd"), by_sds.losses.at("loss_sds")), 1e-5);
}

TEST(StableDiffusionSds, RefusesWhatContradictsItself) {
  StableDiffusionSds::Config config;
  config.use_sjc = config.use_img_loss = true;
  EXPECT_THROW(StableDiffusionSds(config, toybox_like()), UserError);
  config.use_sjc = config.use_img_loss = false;
  config.view_dependent_prompting = false;
  StableDiffusionSds guidance(config, toybox_like());
  const auto text = at::randn({6, 5, 12});
  const PromptEmbeddings perp(text[0], text[1], text.slice(0, 2), {}, /*use_perp_neg=*/true);
  Rng rng(1);
  EXPECT_THROW(guidance(latent_views(1), perp, rng), UserError);
}

TEST(StableDiffusionSds, ClipsAndDropsWhatIsNotANumber) {
  struct Broken : diffusion::Denoiser {
    at::Tensor predict(const at::Tensor& x, const at::Tensor&, const diffusion::Condition&) const override {
      auto out = at::full_like(x, 1e6);
      out.select(3, 0).fill_(std::numeric_limits<float>::quiet_NaN());
      return out;
    }
    diffusion::Prediction prediction() const override { return diffusion::Prediction::Epsilon; }
  };
  auto model = toybox_like(8, false);
  model->denoiser = std::make_shared<Broken>();
  StableDiffusionSds::Config config;
  config.grad_clip = config::Schedule(0.5);
  StableDiffusionSds guidance(config, model);
  guidance.update_step(0);
  Rng rng(1);
  const auto views = latent_views(1);
  guidance(views, some_prompt(), rng).losses.at("loss_sds").backward();
  const auto gradient = views.rgb.grad();  // [1,8,8,4]
  EXPECT_EQ(gradient.select(2, 0).abs().max().item<double>(), 0);
  EXPECT_NEAR(gradient.slice(2, 1).min().item<double>(), 0.5, 1e-6);
  EXPECT_NEAR(gradient.slice(2, 1).max().item<double>(), 0.5, 1e-6);
}

}  // namespace
}  // namespace t3d::guidance
