#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/guidance/stable_diffusion_asd.h"
#include "t3d/guidance/stable_diffusion_vsd.h"
#include "tests/support/golden_guidance.h"

/// The gradients of the reference implementations on small random models.
namespace t3d::guidance {
namespace {

namespace ds = t3d::diffusion;
using testing::angles_of;
using testing::config_of;
using testing::golden_path;
using testing::GoldenCases;
using testing::GoldenOptions;
using testing::max_relative_error;
using testing::model_of;
using testing::perp_neg_text_of;
using testing::prompts_of;
using testing::steps_of;

constexpr double kTolerance = 1e-4;
const char* const kVariants = "sds/variants.safetensors";
const char* const kAsd = "sds/asd.safetensors";

void check(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
           double tolerance = kTolerance) {
  const double error = max_relative_error(actual, expected);
  testing::record_golden(name, error);
  EXPECT_LT(error, tolerance) << name;
}

bool starts_with(const std::string& text, const char* start) {
  return text.rfind(start, 0) == 0;
}

std::shared_ptr<const Model> model_of_case(const GoldenOptions& options, const GoldenCases& cases) {
  return model_of(options, options.text("pretrained_model_name_or_path"), cases.tensor("latents"));
}

/// Rows `from` to `to` of a file with latents [B,C,h,w], as a caller hands them over: channels last.
Views latent_views(const GoldenCases& cases, int64_t from, int64_t to) {
  Views views;
  views.is_latent = true;
  views.rgb = cases.as_float("latents").slice(0, from, to).permute({0, 2, 3, 1}).clone().requires_grad_();
  views.angles = angles_of(cases, from, to);
  return views;
}

/// Gradient by the latents times the batch's size: what the methods call the gradient.
at::Tensor gradient_of(const GuidanceOutput& out, const std::string& loss, const Views& views) {
  if (views.rgb.grad().defined()) views.rgb.mutable_grad().reset();
  out.losses.at(loss).backward();
  return views.rgb.grad().permute({0, 3, 1, 2}) * static_cast<double>(views.rgb.size(0));
}

template <class Method>
GuidanceOutput distill(const typename Method::Config& config, const std::shared_ptr<const Model>& model,
                       const Views& views, const PromptEmbeddings& prompt,
                       const typename Method::Draws& draws) {
  Method method(config, model);
  method.update_step(0);
  return method.distill(views, prompt, draws);
}

TEST(GoldenSds, EveryRunEqualsTheReference) {
  T3D_NEED_CASES(kVariants);
  const GoldenCases cases(kVariants);
  const GoldenOptions options(kVariants);
  const auto model = model_of_case(options, cases);
  const int64_t n = cases.tensor("latents").size(0);
  int n_seen = 0;
  for (const std::string& name : options.runs()) {
    const bool is_sjc = starts_with(name, "sjc.");
    if (!is_sjc && !starts_with(name, "grad.")) continue;  // Perp-Neg's runs are held below
    const GoldenOptions run = options.run(name);
    const auto views = latent_views(cases, 0, n);
    const auto out =
        distill<StableDiffusionSds>(config_of<StableDiffusionSds::Config>(run), model, views, prompts_of(run),
                                    {steps_of(cases.tensor("t")), cases.as_float("noise"), {}});
    check(cat("sds/variants.", name), gradient_of(out, "loss_sds", views),
          cases.tensor(is_sjc ? name + "grad" : name));
    ++n_seen;
  }
  EXPECT_GT(n_seen, 0);
}

TEST(GoldenPerpNeg, EqualsTheReferenceAndDoesNotMixViews) {
  for (const std::string file : {kVariants, kAsd}) {
    T3D_NEED_CASES(file);
    const GoldenCases cases(file);
    const GoldenOptions options(file);
    const auto model = model_of_case(options, cases);
    const bool is_asd = cases.contains("t_plus");
    for (const std::string& name : options.runs()) {
      const GoldenOptions run = options.run(name);
      if (!starts_with(name, "perp.") || !run.has("view")) continue;  // the reference mixes views in batches
      const int64_t i = run.whole("view");
      const auto row = [&](const char* of) { return cases.tensor(of).slice(0, i, i + 1).contiguous(); };
      const auto noisy_of = [&](const at::Tensor& t) {
        return model->schedule.add_noise(row("latents"), row("noise"), t);
      };
      const auto text = perp_neg_text_of(run, angles_of(cases, i, i + 1));
      const c10::NoGradGuard no_grad;
      const auto t = row("t");
      const auto later = is_asd ? row("t_plus") : at::Tensor();
      const auto found =
          GuidedCall{*model, text, {}}(noisy_of(t), t, is_asd ? noisy_of(later) : later, later);
      // ASD turns the weights by -guidance_perp_neg and records them so.
      const auto weights = is_asd ? text.weights * -run.number("guidance_perp_neg") : text.weights;
      check(cat(file, ".", name, "weights"), weights,
            cases.tensor(name + (is_asd ? "weights" : "neg_weights")));
      check(cat(file, ".", name, "noise_pred"), found.noise.perp_neg(run.number("guidance_scale"), weights),
            cases.tensor(name + "noise_pred"));
      if (is_asd)
        check(cat(file, ".", name, "second"), found.later, cases.tensor(name + "noise_pred_second"));
    }
  }
}

/// Rows of a batch give what they give alone; the reference pairs Perp-Neg's texts with other rows' latents.
template <class Method, class Draws>
void expect_rows_alone(const GoldenCases& cases, const GoldenOptions& options, const Draws& draws,
                       const char* loss) {
  auto config = config_of<typename Method::Config>(options);
  config.view_dependent_prompting = true;  // Perp-Neg's texts are
  Method method(config, model_of_case(options, cases));
  method.update_step(0);
  const auto prompt = prompts_of(options, true);
  const auto run = [&](int64_t from, int64_t to) {
    const auto views = latent_views(cases, from, to);
    return gradient_of(method.distill(views, prompt, draws(from, to)), loss, views);
  };
  const int64_t n = cases.tensor("latents").size(0);
  std::vector<at::Tensor> alone;
  for (int64_t i = 0; i < n; ++i) alone.push_back(run(i, i + 1));
  // The order of sums differs with the batch's size: 4e-6 with AVX-512, 1.4e-5 with AVX2, more with
  // LibTorch 2.
  EXPECT_LT(max_relative_error(run(0, n), at::cat(alone)), 5e-5);
}

TEST(PerpNeg, RowsOfABatchAreWhatTheyAreAlone) {
  T3D_NEED_CASES(kAsd);
  const GoldenCases cases(kAsd);
  const GoldenOptions options(kAsd);
  const auto steps = [&](const char* name, int64_t from, int64_t to) {
    return steps_of(cases.tensor(name).slice(0, from, to));
  };
  expect_rows_alone<StableDiffusionSds>(
      cases, options,
      [&](int64_t from, int64_t to) {
        return StableDiffusionSds::Draws{
            steps("t", from, to), cases.as_float("noise").slice(0, from, to), {}};
      },
      "loss_sds");
  expect_rows_alone<StableDiffusionAsd>(
      cases, options,
      [&](int64_t from, int64_t to) {
        return StableDiffusionAsd::Draws{
            steps("t", from, to), steps("t_plus", from, to), cases.as_float("noise").slice(0, from, to), {}};
      },
      "loss_asd");
}

TEST(GoldenSds, FromThePictureToItsGradientEqualsTheReference) {
  const char* const file = "sds/full_chain.safetensors";
  T3D_NEED_CASES(file);
  const GoldenCases cases(file);
  const GoldenOptions options(file);
  auto config = config_of<StableDiffusionSds::Config>(options);
  config.use_img_loss = true;  // both runs at once
  StableDiffusionSds guidance(config, model_of_case(options, cases));
  guidance.update_step(0);
  Views views;
  views.rgb = cases.as_float("rgb").clone().requires_grad_();
  views.angles = angles_of(cases, 0, views.rgb.size(0));
  const auto out =
      guidance.distill(views, prompts_of(options),
                       {steps_of(cases.tensor("t")), cases.as_float("noise"), cases.as_float("vae_noise")});
  check("sds/full_chain.loss_sds", out.losses.at("loss_sds"), cases.tensor("loss_sds"));
  check("sds/full_chain.grad_norm", out.metrics.at("grad_norm"), cases.tensor("grad_norm"));
  check("sds/full_chain.loss_sds_img", out.losses.at("loss_sds_img"), cases.tensor("img.loss_sds_img"));
  const auto by_picture = [&](const char* loss) {
    return torch::autograd::grad({out.losses.at(loss)}, {views.rgb}, {}, /*retain_graph=*/true)[0];
  };
  check("sds/full_chain.grad.rgb", by_picture("loss_sds"), cases.tensor("grad.rgb"));
  check("sds/full_chain.img.grad.rgb", by_picture("loss_sds_img"), cases.tensor("img.grad.rgb"));
}

TEST(GoldenAsd, EveryWeightingEqualsTheReference) {
  T3D_NEED_CASES(kAsd);
  const GoldenCases cases(kAsd);
  const GoldenOptions options(kAsd);
  const auto model = model_of_case(options, cases);
  const int64_t n = cases.tensor("latents").size(0);
  for (const std::string& name : options.runs()) {
    if (!starts_with(name, "grad.")) continue;
    const GoldenOptions run = options.run(name);
    const auto config = config_of<StableDiffusionAsd::Config>(run);
    const auto views = latent_views(cases, 0, n);
    const auto out = distill<StableDiffusionAsd>(
        config, model, views, prompts_of(run),
        {steps_of(cases.tensor("t")), steps_of(cases.tensor("t_plus")), cases.as_float("noise"), {}});
    check(cat("sds/asd.", name), gradient_of(out, "loss_asd", views), cases.tensor(name));
    if (config.weighting_strategy == Weighting::Sds) {
      check("sds/asd.loss_asd", out.losses.at("loss_asd"), cases.tensor("loss_asd"));
      check("sds/asd.grad_norm", out.metrics.at("grad_norm"), cases.tensor("grad_norm"));
    }
  }
}

const char* const kVsd = "sd2-tiny/cases_vsd.safetensors";

/// The model and its LoRA branch, each with the kind of prediction that the options give it.
struct VsdCase {
  VsdCase(const GoldenCases& cases, const GoldenOptions& options)
      : options(options), model(model_of_case(options, cases)) {
    const auto base = model_of(options, options.text("pretrained_model_name_or_path_lora"),
                               cases.tensor("latents"), "prediction_type_lora");
    const auto file = ds::safetensors_source(golden_path(options.text("camera_embedding")));
    const auto camera = ds::Weights::from(file);
    const bool is_prefixed = file->has("camera_embedding.linear_1.weight");
    score = std::make_shared<LoraScore>(
        *base,
        ds::Lora::load(*ds::safetensors_source(golden_path(options.text("lora_weights"))),
                       ds::attention_sites(base->unet->parameters())),
        CameraEmbedding(is_prefixed ? camera.at("camera_embedding") : camera,
                        base->unet->config().time_channels()));
    camera.check();
  }
  ParticleScore phi() const {
    return {score, model->schedule, score->parameters(), true, score->gradient_scale()};
  }

  GoldenOptions options;
  std::shared_ptr<const Model> model;
  std::shared_ptr<LoraScore> score;
};

TEST(GoldenVsd, GradientAndTrainingLossEqualTheReference) {
  T3D_NEED_CASES(kVsd);
  const GoldenCases cases(kVsd);
  const GoldenOptions options(kVsd);
  const VsdCase vsd(cases, options);
  const int64_t n = cases.tensor("latents").size(0), n_train = cases.tensor("train.t").size(0);
  // The rows of the file have texts of their own; they go through one at a time.
  const auto views_of = [&](int64_t i) {
    Views views;
    views.is_latent = true;
    views.rgb = cases.as_float("latents").slice(0, i, i + 1).permute({0, 2, 3, 1}).clone().requires_grad_();
    views.camera_to_world = cases.as_float("c2w").slice(0, i, i + 1);
    if (cases.contains("mvp")) views.mvp = cases.as_float("mvp").slice(0, i, i + 1);
    views.angles = {at::zeros({1}), at::zeros({1}), {}};
    return views;
  };
  const auto prompt_of = [&](int64_t i) {
    const auto by_view = cases.as_float("text_embeddings_vd");
    return PromptEmbeddings(cases.as_float("text_embeddings")[i], by_view[n + i],
                            by_view[i].expand({4, -1, -1}));
  };
  const auto draws_of = [&](int64_t i, bool drops_camera) {
    StableDiffusionVsd::Draws draws;
    draws.t = steps_of(cases.tensor("t").slice(0, i, i + 1));
    draws.noise = cases.as_float("noise").slice(0, i, i + 1);
    draws.train_t = steps_of(cases.tensor("train.t").slice(0, i, n_train, n));
    draws.train_noise = cases.as_float("train.noise").slice(0, i, n_train, n);
    draws.drops_camera = drops_camera;
    return draws;
  };
  std::vector<at::Tensor> parameters;
  for (const auto& [part, tensor] : vsd.phi().parameters) parameters.push_back(tensor);
  for (const std::string& name : options.runs()) {
    const GoldenOptions run = options.run(name);
    const auto config = config_of<StableDiffusionVsd::Config>(run);
    const bool trains = starts_with(name, "train");
    const bool drops_camera = trains && run.truth("drops_camera");
    StableDiffusionVsd guidance(config, vsd.model, vsd.phi());
    guidance.update_step(0);
    at::Tensor lora_loss;
    for (int64_t i = 0; i < n; ++i) {
      const auto views = views_of(i);
      const auto out = guidance.distill(views, prompt_of(i), draws_of(i, drops_camera));
      const auto loss = out.losses.at("loss_lora") / static_cast<double>(n);
      lora_loss = lora_loss.defined() ? lora_loss + loss : loss;
      if (!trains)
        check(cat("sd2-tiny/vsd.", name), gradient_of(out, "loss_vsd", views),
              cases.tensor(name).slice(0, i, i + 1));
    }
    if (!trains) continue;
    check(cat("sd2-tiny/vsd.", name, "loss"), lora_loss, cases.tensor(name + "loss"));
    auto squared = at::zeros({}, at::kDouble);
    for (const auto& g : torch::autograd::grad({lora_loss}, parameters, {}, {}, false, /*allow_unused=*/true))
      if (g.defined()) squared += g.to(at::kDouble).square().sum();
    // The norm over 128 small matrices moves by 7e-5 with the order of single-precision sums alone: 4.1e-5
    // off with ATen's plain kernels, 7.9e-5 with AVX-512, 1.15e-4 with AVX2.
    check(cat("sd2-tiny/vsd.", name, "grad_norm"), squared.sqrt(), cases.tensor(name + "grad_norm"), 2e-4);
  }
}

}  // namespace
}  // namespace t3d::guidance
