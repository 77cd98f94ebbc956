#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include <cmath>

#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/guidance/stable_diffusion_asd.h"
#include "t3d/guidance/stable_diffusion_vsd.h"
#include "tests/support/golden_cases.h"

/// The gradients of the reference implementations on small random models.
namespace t3d::guidance {
namespace {

namespace ds = t3d::diffusion;
using testing::golden_path;
using testing::GoldenCases;
using testing::max_relative_error;

constexpr double kTolerance = 1e-4;

void check(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
           double tolerance = kTolerance) {
  const double error = max_relative_error(actual, expected);
  testing::record_golden(name, error);
  EXPECT_LT(error, tolerance) << name;
}

std::shared_ptr<const Model> tiny_model(const std::string& name, int64_t latent_size) {
  ModelRequest request;
  request.name = golden_path(name);
  auto model = std::make_shared<Model>(*open_model(request));
  model->latent_size = latent_size;
  return model;
}

/// The reference ran on its own half precision embeddings; GoldenPrompts holds ours against them.
PromptEmbeddings corgi(bool use_perp_neg = false) {
  const GoldenCases cases("sds/prompts.safetensors");
  return {cases.as_float("text_embeddings"),
          cases.as_float("uncond_text_embeddings"),
          cases.as_float("text_embeddings_vd"),
          {},
          use_perp_neg};
}

/// What corgi(true) gives for one view, but with the texts mixed in half precision, share and all, as the
/// reference did: 1e-3 away from the exact mixture, which Perp-Neg's difference of predictions shows.
GuidanceText mixed_in_half(const ViewAngles& view) {
  const GoldenCases cases("sds/prompts.safetensors");
  const auto exact = corgi(true).perp_neg_text(view);
  const auto texts = cases.tensor("text_embeddings_vd");
  const float away = std::abs(std::remainder(view.azimuth_deg.item<float>(), 360.0f));
  const float r = away < 90 ? 1 - away / 90 : 2 - away / 90;
  const auto near = texts[away < 90 ? 1 : 0], far = texts[away < 90 ? 0 : 2];
  const auto share = [](float x) { return at::full({1}, x, at::kFloat).to(at::kHalf); };
  const auto mixed = (near * share(r) + far * share(1 - r)).to(at::kFloat).unsqueeze(0);
  EXPECT_LT(max_relative_error(mixed, exact.positive), 2e-3);
  return {at::cat({mixed, exact.negative, exact.opposing.flatten(0, 1)}), exact.weights};
}

Timesteps steps_of(const at::Tensor& t) {
  return Timesteps::of(std::vector<int64_t>(t.data_ptr<int64_t>(), t.data_ptr<int64_t>() + t.numel()),
                       at::kCPU);
}

/// Rows `from` to `to` of a file with latents [B,C,s,s], as a caller hands them over: channels last.
Views latent_views(const GoldenCases& cases, int64_t from, int64_t to) {
  Views views;
  views.is_latent = true;
  views.rgb = cases.as_float("latents").slice(0, from, to).permute({0, 2, 3, 1}).clone().requires_grad_();
  const auto view = cases.as_float("view").slice(1, from, to);
  views.angles = {view[0].contiguous(), view[1].contiguous(), view[2].contiguous()};
  return views;
}

/// Gradient by the latents times the batch's size: what the methods call the gradient.
at::Tensor gradient_of(const GuidanceOutput& out, const std::string& loss, const Views& views) {
  if (views.rgb.grad().defined()) views.rgb.mutable_grad().reset();
  out.losses.at(loss).backward();
  return views.rgb.grad().permute({0, 3, 1, 2}) * static_cast<double>(views.rgb.size(0));
}

TEST(GoldenSds, WeightingsAndPerpNegEqualTheReference) {
  T3D_NEED_FILE(golden_path("sds/variants.safetensors"));
  const GoldenCases cases("sds/variants.safetensors");
  const auto model = tiny_model("sd1-tiny", cases.tensor("latents").size(2));
  StableDiffusionSds::Config config;
  config.guidance_scale = 7.5;
  const auto draws = [&](int64_t from, int64_t to) {
    return StableDiffusionSds::Draws{steps_of(cases.tensor("t").slice(0, from, to).contiguous()),
                                     cases.as_float("noise").slice(0, from, to),
                                     {}};
  };
  const auto prompt = corgi();
  for (const auto& [weighting, name] : enum_names(static_cast<const Weighting*>(nullptr))) {
    config.weighting_strategy = weighting;
    const auto views = latent_views(cases, 0, 2);
    const auto out = StableDiffusionSds(config, model).distill(views, prompt, draws(0, 2));
    check(cat("sds/variants.grad.", name), gradient_of(out, "loss_sds", views),
          cases.tensor(cat("grad.", name)));
  }
}

TEST(GoldenPerpNeg, EqualsTheReferenceAndDoesNotMixViews) {
  T3D_NEED_FILE(golden_path("sds/variants.safetensors"));
  for (const std::string file : {"sds/variants", "sds/asd"}) {
    const GoldenCases cases(file + ".safetensors");
    const auto model = tiny_model("sd1-tiny", cases.tensor("latents").size(2));
    const bool is_asd = cases.contains("t_plus");
    const auto row = [&](const char* name, int64_t i) {
      return cases.tensor(name).slice(0, i, i + 1).contiguous();
    };
    const auto noisy_of = [&](const at::Tensor& t, int64_t i) {
      return model->schedule.add_noise(row("latents", i), row("noise", i), t);
    };
    std::vector<GuidedCall::Result> single;
    for (int64_t i = 0; i < 2; ++i) {
      const auto text = mixed_in_half(latent_views(cases, i, i + 1).angles);
      const c10::NoGradGuard no_grad;
      const auto t = row("t", i);
      const auto later = is_asd ? row("t_plus", i) : at::Tensor();
      const auto found =
          GuidedCall{*model, text, {}}(noisy_of(t, i), t, is_asd ? noisy_of(later, i) : later, later);
      const std::string name = cat("perp.single", i, ".");
      // ASD turns the weights by -guidance_perp_neg = 0.5 and records them so.
      const auto weights = is_asd ? text.weights * 0.5 : text.weights;
      check(cat(file, ".", name, "weights"), weights,
            cases.tensor(name + (is_asd ? "weights" : "neg_weights")));
      check(cat(file, ".", name, "noise_pred"), found.noise.perp_neg(7.5, weights),
            cases.tensor(name + "noise_pred"));
      if (is_asd)
        check(cat(file, ".", name, "second"), found.later, cases.tensor(name + "noise_pred_second"));
    }
  }
}

/// Rows of a batch give what they give alone; the reference pairs Perp-Neg's texts with other rows' latents.
template <class Method, class Draws>
void expect_rows_alone(const GoldenCases& cases, typename Method::Config config, const Draws& draws,
                       const char* loss) {
  const Method method(config, tiny_model("sd1-tiny", cases.tensor("latents").size(2)));
  const auto prompt = corgi(true);
  const auto run = [&](int64_t from, int64_t to) {
    const auto views = latent_views(cases, from, to);
    return gradient_of(method.distill(views, prompt, draws(from, to)), loss, views);
  };
  EXPECT_LT(max_relative_error(run(0, 2), at::cat({run(0, 1), run(1, 2)})),
            TORCH_VERSION_MAJOR > 1 ? 5e-5 : 1e-5);
}

TEST(PerpNeg, RowsOfABatchAreWhatTheyAreAlone) {
  T3D_NEED_FILE(golden_path("sds/asd.safetensors"));
  const GoldenCases cases("sds/asd.safetensors");
  const auto steps = [&](const char* name, int64_t from, int64_t to) {
    return steps_of(cases.tensor(name).slice(0, from, to).contiguous());
  };
  expect_rows_alone<StableDiffusionSds>(
      cases, {},
      [&](int64_t from, int64_t to) {
        return StableDiffusionSds::Draws{
            steps("t", from, to), cases.as_float("noise").slice(0, from, to), {}};
      },
      "loss_sds");
  StableDiffusionAsd::Config config;
  config.guidance_perp_neg = -0.5;
  expect_rows_alone<StableDiffusionAsd>(
      cases, config,
      [&](int64_t from, int64_t to) {
        return StableDiffusionAsd::Draws{
            steps("t", from, to), steps("t_plus", from, to), cases.as_float("noise").slice(0, from, to), {}};
      },
      "loss_asd");
}

TEST(GoldenSjc, BothVariantsEqualTheReference) {
  T3D_NEED_FILE(golden_path("sds/variants.safetensors"));
  const GoldenCases cases("sds/variants.safetensors");
  const auto model = tiny_model("sd1-tiny", cases.tensor("latents").size(2));
  StableDiffusionSds::Config config;
  config.guidance_scale = 7.5;
  config.use_sjc = true;
  for (const bool reduced : {true, false}) {
    config.var_red = reduced;
    const auto views = latent_views(cases, 0, 2);
    const auto out = StableDiffusionSds(config, model)
                         .distill(views, corgi(), {steps_of(cases.tensor("t")), cases.as_float("noise"), {}});
    const char* name = reduced ? "sjc.var_red.grad" : "sjc.plain.grad";
    check(cat("sds/variants.", name), gradient_of(out, "loss_sds", views), cases.tensor(name));
  }
}

TEST(GoldenSds, FromThePictureToItsGradientEqualsTheReference) {
  T3D_NEED_FILE(golden_path("sds/full_chain.safetensors"));
  const GoldenCases cases("sds/full_chain.safetensors");
  StableDiffusionSds::Config config;
  config.guidance_scale = 7.5;
  config.use_img_loss = true;
  const StableDiffusionSds guidance(config, tiny_model("sd1-tiny", cases.tensor("latents").size(2)));
  Views views;
  views.rgb = cases.as_float("rgb").clone().requires_grad_();
  const auto view = cases.as_float("view");
  views.angles = {view[0].contiguous(), view[1].contiguous(), view[2].contiguous()};
  const auto out = guidance.distill(
      views, corgi(), {steps_of(cases.tensor("t")), cases.as_float("noise"), cases.as_float("vae_noise")});
  check("sds/full_chain.loss_sds", out.losses.at("loss_sds"), cases.tensor("loss_sds"));
  check("sds/full_chain.grad_norm", out.metrics.at("grad_norm"), cases.tensor("grad_norm"));
  check("sds/full_chain.loss_sds_img", out.losses.at("loss_sds_img"), cases.tensor("img.loss_sds_img"));
  const auto by_picture = [&](const char* loss) {
    return torch::autograd::grad({out.losses.at(loss)}, {views.rgb}, {}, /*retain_graph=*/true)[0];
  };
  check("sds/full_chain.grad.rgb", by_picture("loss_sds"), cases.tensor("grad.rgb"));
  check("sds/full_chain.img.grad.rgb", by_picture("loss_sds_img"), cases.tensor("img.grad.rgb"));
}

TEST(GoldenAsd, WeightingsAndPerpNegEqualTheReference) {
  T3D_NEED_FILE(golden_path("sds/asd.safetensors"));
  const GoldenCases cases("sds/asd.safetensors");
  const auto model = tiny_model("sd1-tiny", cases.tensor("latents").size(2));
  StableDiffusionAsd::Config config;
  const auto draws = [&](int64_t from, int64_t to) {
    return StableDiffusionAsd::Draws{steps_of(cases.tensor("t").slice(0, from, to).contiguous()),
                                     steps_of(cases.tensor("t_plus").slice(0, from, to).contiguous()),
                                     cases.as_float("noise").slice(0, from, to),
                                     {}};
  };
  const auto prompt = corgi();
  for (const auto& [weighting, name] : enum_names(static_cast<const Weighting*>(nullptr))) {
    config.weighting_strategy = weighting;
    const auto views = latent_views(cases, 0, 2);
    const auto out = StableDiffusionAsd(config, model).distill(views, prompt, draws(0, 2));
    check(cat("sds/asd.grad.", name), gradient_of(out, "loss_asd", views), cases.tensor(cat("grad.", name)));
    if (weighting == Weighting::Sds) {
      check("sds/asd.loss_asd", out.losses.at("loss_asd"), cases.tensor("loss_asd"));
      check("sds/asd.grad_norm", out.metrics.at("grad_norm"), cases.tensor("grad_norm"));
    }
  }
}

/// sd2-tiny with noise prediction, and its LoRA branch with velocity prediction, as the file was made.
struct VsdCase {
  explicit VsdCase(const GoldenCases& cases)
      : model(std::make_shared<Model>(*tiny_model("sd2-tiny", cases.tensor("latents").size(2)))) {
    auto base = *model;
    base.denoiser = std::make_shared<ds::UNetDenoiser>(base.unet, ds::Prediction::Velocity);
    model->denoiser = std::make_shared<ds::UNetDenoiser>(base.unet, ds::Prediction::Epsilon);
    const auto file = ds::safetensors_source(golden_path("sd2-tiny/vsd/camera_embedding.safetensors"));
    const auto camera = ds::Weights::from(file);
    const bool is_prefixed = file->has("camera_embedding.linear_1.weight");
    score = std::make_shared<LoraScore>(
        base,
        ds::Lora::load(*ds::safetensors_source(golden_path("sd2-tiny/vsd/lora_attn_procs.safetensors")),
                       ds::attention_sites(base.unet->parameters())),
        CameraEmbedding(is_prefixed ? camera.at("camera_embedding") : camera,
                        base.unet->config().time_channels()));
    camera.check();
  }
  ParticleScore phi() const {
    return {score, model->schedule, score->parameters(), true, score->gradient_scale()};
  }

  std::shared_ptr<Model> model;
  std::shared_ptr<LoraScore> score;
};

TEST(GoldenVsd, GradientAndTrainingLossEqualTheReference) {
  T3D_NEED_FILE(golden_path("sd2-tiny/cases_vsd.safetensors"));
  const GoldenCases cases("sd2-tiny/cases_vsd.safetensors");
  const VsdCase vsd(cases);
  // Both rows of the file have texts of their own; they go through one at a time.
  const auto views_of = [&](int64_t i) {
    Views views;
    views.is_latent = true;
    views.rgb = cases.as_float("latents").slice(0, i, i + 1).permute({0, 2, 3, 1}).clone().requires_grad_();
    views.camera_to_world = cases.as_float("c2w").slice(0, i, i + 1);
    views.angles = {at::zeros({1}), at::zeros({1}), {}};
    return views;
  };
  const auto prompt_of = [&](int64_t i) {
    return PromptEmbeddings(cases.as_float("text_embeddings")[i], cases.as_float("text_embeddings_vd")[2 + i],
                            cases.as_float("text_embeddings_vd")[i].expand({4, -1, -1}));
  };
  StableDiffusionVsd::Config config;
  for (const auto& [scale, name] : {std::pair{1.0, "grad"}, {0.7, "grad.lora_scale0.7"}}) {
    config.guidance_scale_lora = scale;
    const StableDiffusionVsd guidance(config, vsd.model, vsd.phi());
    for (const bool drops : {false, true}) {
      at::Tensor lora_loss;
      for (int64_t i = 0; i < 2; ++i) {
        const auto views = views_of(i);
        StableDiffusionVsd::Draws draws;
        draws.t = steps_of(cases.tensor("t").slice(0, i, i + 1).contiguous());
        draws.noise = cases.as_float("noise").slice(0, i, i + 1);
        draws.train_t = steps_of(cases.tensor("train.t").slice(0, i, i + 1).contiguous());
        draws.train_noise = cases.as_float("train.noise").slice(0, i, i + 1);
        draws.drops_camera = drops;
        const auto out = guidance.distill(views, prompt_of(i), draws);
        check(cat("sd2-tiny/vsd.", name), gradient_of(out, "loss_vsd", views),
              cases.tensor(name).slice(0, i, i + 1));
        lora_loss = lora_loss.defined() ? lora_loss + out.losses.at("loss_lora") : out.losses.at("loss_lora");
      }
      lora_loss = lora_loss / 2;
      const std::string run = drops ? "train_nocam" : "train";
      check(cat("sd2-tiny/vsd.", run, ".loss"), lora_loss, cases.tensor(run + ".loss"));
      std::vector<at::Tensor> parameters;
      for (const auto& [part, tensor] : vsd.phi().parameters) parameters.push_back(tensor);
      auto squared = at::zeros({}, at::kDouble);
      for (const auto& g :
           torch::autograd::grad({lora_loss}, parameters, {}, {}, false, /*allow_unused=*/true))
        if (g.defined()) squared += g.to(at::kDouble).square().sum();
      // The norm over 128 small matrices moves by 7e-5 with the order of single-precision sums alone: 4.1e-5
      // off with ATen's plain kernels, 7.9e-5 with AVX-512, 1.15e-4 with AVX2.
      check(cat("sd2-tiny/vsd.", run, ".grad_norm"), squared.sqrt(), cases.tensor(run + ".grad_norm"), 2e-4);
    }
  }
}

}  // namespace
}  // namespace t3d::guidance
