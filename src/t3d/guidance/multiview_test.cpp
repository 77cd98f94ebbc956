#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/guidance/multiview_asd.h"
#include "t3d/guidance/multiview_sds.h"
#include "tests/support/golden_guidance.h"
#include "tests/support/small_models.h"

namespace t3d::guidance {
namespace {

namespace ds = t3d::diffusion;
using testing::GoldenCases;
using testing::GoldenOptions;
using testing::max_relative_error;
using testing::some_prompt;
using testing::toybox_like;
using testing::views_around;

constexpr double kTolerance = 1e-4;

TEST(UnitCameras, AreOnTheUnitSphereAndLeaveTheArgument) {
  const auto far = views_around(at::zeros({4, 8, 8, 3})).camera_to_world;
  const auto before = far.clone();
  const auto made = ds::unit_cameras(far);
  EXPECT_TRUE(at::equal(far, before));
  EXPECT_LT((made - ds::orbit_cameras(4, 15, -90)).abs().max().item<double>(), 1e-6);
}

TEST(UnitCameras, AzimuthZeroOfOursIsTheFrontOfTheModels) {
  // MVDream's azimuth 90 stands on +x, which is our azimuth 0, where a toybox object's front is.
  const auto front = ds::orbit_cameras(1, 0, 90).reshape({4, 4});
  EXPECT_NEAR(front[0][3].item<float>(), 1, 1e-6);
  EXPECT_NEAR(front[1][3].item<float>(), 0, 1e-6);
  EXPECT_NEAR(front[2][1].item<float>(), 1, 1e-6);  // up is +z
}

TEST(MultiviewSds, ReachesThePicturesAndNotTheDenoiser) {
  MultiviewSds::Config config;
  MultiviewSds guidance(config, toybox_like());
  guidance.update_step(0);
  Rng rng(3);
  const auto views = views_around(at::rand({4, 16, 16, 3}).requires_grad_());
  const auto out = guidance(views, some_prompt(), rng);
  ASSERT_EQ(out.losses.size(), 1u);
  const auto loss = out.losses.at("loss_sds");
  EXPECT_EQ(loss.dim(), 0);
  loss.backward();
  EXPECT_GT(views.rgb.grad().abs().max().item<double>(), 0);
  EXPECT_EQ(out.metrics.at("min_step").item<int>(), 20);
  EXPECT_EQ(out.metrics.at("max_step").item<int>(), 980);
}

TEST(MultiviewSds, ReconstructionIsTheNoiseGradientTimesTheInverseSignalToNoise) {
  auto config = MultiviewSds::Config();
  config.recon_std_rescale = 0;
  const auto model = toybox_like();
  const auto views = [&] {
    auto v = views_around(at::randn({4, 8, 8, 4}));
    v.is_latent = true;
    return v;
  }();
  MultiviewSds::Draws draws{Timesteps::of({600}, at::kCPU), at::randn({4, 4, 8, 8}), {}};
  const auto prompt = some_prompt();
  const auto gradient = [&](bool by_picture) {
    config.recon_loss = by_picture;
    auto latents = views;
    latents.rgb = views.rgb.clone().requires_grad_();
    MultiviewSds(config, model).distill(latents, prompt, draws).losses.at("loss_sds").backward();
    return latents.rgb.grad().clone();
  };
  const double a = model->schedule.alpha_bar(600);
  EXPECT_LT(max_relative_error(gradient(true), gradient(false) * (std::sqrt((1 - a) / a) / (1 - a))), 1e-4);
}

/// Always predicts the same clean latents.
class KnowsOnePicture : public ds::Denoiser {
 public:
  explicit KnowsOnePicture(at::Tensor clean) : clean_(std::move(clean)) {}
  at::Tensor predict(const at::Tensor&, const at::Tensor&, const ds::Condition&) const override {
    return at::cat({clean_, clean_});
  }
  ds::Prediction prediction() const override { return ds::Prediction::Sample; }

 private:
  at::Tensor clean_;  // [B,C,s,s]
};

TEST(MultiviewSds, ImageLossPullsToTheDecodedPredictionAtAnyBackground) {
  auto model = std::make_shared<Model>(*toybox_like());
  const auto clean = at::randn({4, 4, model->latent_height, model->latent_width});
  model->denoiser = std::make_shared<KnowsOnePicture>(clean);
  MultiviewSds::Config config;
  config.use_img_loss = true;
  const MultiviewSds guidance(config, model);
  const auto views =
      views_around(at::rand({4, model->image_height(), model->image_width(), 3}).requires_grad_());
  const auto latents = at::randn(clean.sizes());
  const auto out = guidance.distill(views, some_prompt(), {Timesteps::of({600}, at::kCPU), latents, latents});
  out.losses.at("loss_sds_img").backward();

  const auto picture = (model->vae->from_latents(clean) * 0.5 + 0.5).clamp(0, 1).permute({0, 2, 3, 1});
  auto expected = (views.rgb - picture).detach();  // [B,H,W,3]
  for (int64_t i = 0; i < 4; ++i) expected[i] -= expected[i].mean(2).median();
  EXPECT_LT(max_relative_error(views.rgb.grad(), expected / 4), 1e-4);
}

TEST(MultiviewSds, SameSeedSameGradient) {
  MultiviewSds guidance(MultiviewSds::Config(), toybox_like());
  const auto prompt = some_prompt();
  const auto rgb = at::rand({4, 32, 32, 3});
  const auto once = [&](uint64_t seed) {
    Rng rng(seed);
    const auto views = views_around(rgb.clone().requires_grad_());
    guidance(views, prompt, rng).losses.at("loss_sds").backward();
    return views.rgb.grad().clone();
  };
  EXPECT_TRUE(at::equal(once(1), once(1)));
  EXPECT_FALSE(at::equal(once(1), once(2)));
}

TEST(MultiviewSds, RowsOfTwoObjectsDoNotMix) {
  MultiviewSds guidance(MultiviewSds::Config(), toybox_like());
  const auto prompt = some_prompt();
  const auto noise = at::randn({8, 4, 8, 8}), vae_noise = at::randn({8, 4, 8, 8});
  const auto rgb = at::rand({8, 32, 32, 3});
  const auto all = views_around(rgb);
  const auto gradient = [&](int64_t from, int64_t to) {
    Views views = all;
    views.rgb = rgb.slice(0, from, to).clone().requires_grad_();
    views.camera_to_world = all.camera_to_world.slice(0, from, to);
    views.angles = {
        all.angles.elevation_deg.slice(0, from, to), all.angles.azimuth_deg.slice(0, from, to), {}};
    guidance
        .distill(views, prompt,
                 {Timesteps::of({300}, at::kCPU), noise.slice(0, from, to), vae_noise.slice(0, from, to)})
        .losses.at("loss_sds")
        .backward();
    return views.rgb.grad() * static_cast<double>(to - from);
  };
  const auto both = gradient(0, 8);
  EXPECT_LT(max_relative_error(both.slice(0, 0, 4), gradient(0, 4)), 1e-3);
  EXPECT_LT(max_relative_error(both.slice(0, 4, 8), gradient(4, 8)), 1e-3);
}

TEST(MultiviewSds, SaysWhatIsWrongWithTheBatch) {
  MultiviewSds guidance(MultiviewSds::Config(), toybox_like());
  Rng rng(1);
  const auto prompt = some_prompt();
  EXPECT_THROW(guidance(views_around(at::rand({3, 16, 16, 3})), prompt, rng), UserError);
  EXPECT_THROW(guidance(views_around(at::rand({4, 16, 16, 4})), prompt, rng), UserError);
}

TEST(MultiviewAsd, WithoutShiftIsClassifierScoreDistillation) {
  // plus_ratio 0: the second prediction is the first block's, and only the guidance term is left.
  MultiviewAsd::Config config;
  config.shift.ratio = 0;
  const auto prompt = some_prompt();
  const auto rgb = at::rand({4, 32, 32, 3});
  const auto norm = [&](double scale) {
    config.guidance_scale = scale;
    MultiviewAsd guidance(config, toybox_like());
    Rng rng(5);
    return guidance(views_around(rgb), prompt, rng).metrics.at("grad_norm").item<double>();
  };
  EXPECT_LT(norm(1), 1e-4 * norm(2));
  EXPECT_NEAR(norm(4) / norm(2), 3, 1e-3);
}

TEST(StepRange, TruncatesAndFollowsTheSchedule) {
  StepRange::Rules rules;
  using config::Node;
  rules.max_percent =
      config::Schedule(Node(Node::List{Node(int64_t{5000}), Node(0.98), Node(0.5), Node(int64_t{5001})}));
  StepRange range(rules, 1000);
  range.update(5000);
  EXPECT_EQ(range.min(), 20);
  EXPECT_EQ(range.max(), 980);
  range.update(5001);
  EXPECT_EQ(range.max(), 500);
  rules.sqrt_anneal = true;
  rules.min_percent = config::Schedule(0.3);
  StepRange annealed(rules, 1000);
  const std::pair<int64_t, int64_t> known[] = {{0, 980}, {1, 975}, {100, 936}, {12500, 499}, {25000, 300}};
  for (const auto& [step, t] : known) {
    annealed.update(step);
    EXPECT_EQ(annealed.min(), t) << step;
    EXPECT_EQ(annealed.max(), t) << step;
  }
  EXPECT_THROW(annealed.update(1000000), UserError);
}

TEST(StepRange, DrawsBothEnds) {
  StepRange::Rules rules;
  rules.min_percent = config::Schedule(0.01);
  rules.max_percent = config::Schedule(0.012);
  StepRange range(rules, 1000);
  range.update(0);
  Rng rng(1);
  const auto drawn = range.draw(200, rng, at::kCPU).host;
  EXPECT_EQ(*std::min_element(drawn.begin(), drawn.end()), 10);
  EXPECT_EQ(*std::max_element(drawn.begin(), drawn.end()), 12);
}

const char* const kAsd = "mvdream-tiny/cases_asd.safetensors";

TEST(GoldenMultiviewAsd, GradientFromPicturesEqualsTheReference) {
  T3D_NEED_CASES(kAsd);
  const GoldenCases cases(kAsd);
  const GoldenOptions options(kAsd);
  const auto model = testing::model_of(
      options, options.text("pretrained_model_name_or_path") + "/model.safetensors", cases.tensor("latents"));
  const auto config = testing::config_of<MultiviewAsd::Config>(options);
  MultiviewAsd guidance(config, model);
  guidance.update_step(0);
  const auto prompt = cases.as_float("text_embedding"), negative = cases.as_float("uncond_text_embedding");
  const PromptEmbeddings embeddings(prompt, negative, prompt.expand({4, -1, -1}));
  Views views;
  views.rgb = cases.as_float("rgb").clone().requires_grad_();
  views.camera_to_world = cases.as_float("c2w");
  views.angles.azimuth_deg = at::zeros({views.rgb.size(0)});
  const int64_t n_steps = model->schedule.n_steps();
  EXPECT_EQ(options.whole("t_plus_max"), n_steps - 1);
  const auto later =
      config.shift.apply({cases.tensor("t").item<int64_t>()}, {1}, options.whole("min_step"), n_steps);
  EXPECT_TRUE(config.shift.is_random || later[0] == cases.tensor("t_plus").item<int64_t>());
  const MultiviewAsd::Draws draws{testing::steps_of(cases.tensor("t")),
                                  testing::steps_of(cases.tensor("t_plus")), cases.as_float("noise"),
                                  cases.as_float("vae_noise")};
  EXPECT_LT(max_relative_error(ds::unit_cameras(views.camera_to_world), cases.as_float("camera")),
            kTolerance);
  const auto out = guidance.distill(views, embeddings, draws);
  out.losses.at("loss_asd").backward();
  const auto check = [](const char* name, const at::Tensor& actual, const at::Tensor& expected,
                        double tolerance) {
    const double error = max_relative_error(actual, expected);
    testing::record_golden(cat("mvdream-tiny/asd.", name), error);
    EXPECT_LT(error, tolerance) << name;
  };
  check("loss_asd", out.losses.at("loss_asd"), cases.tensor("loss_asd"), kTolerance);
  check("grad_norm", out.metrics.at("grad_norm"), cases.tensor("grad_norm"), kTolerance);
  // The recorded UNet outputs of this file are 3e-4 (root mean square) away from a double precision run of
  // the same network, which ours in single precision follows to 1.3e-6.
  check("grad.rgb", views.rgb.grad(), cases.tensor("grad.rgb"), 1e-3);
  const auto from_recorded_gradient = [&] {
    const auto rgb = cases.as_float("rgb").clone().requires_grad_();
    const auto sized = at::upsample_bilinear2d(rgb.permute({0, 3, 1, 2}),
                                               {model->image_height(), model->image_width()}, false);
    model->vae->to_latents(sized * 2 - 1, draws.vae_noise)
        .backward(cases.as_float("grad") / static_cast<double>(rgb.size(0)));
    return rgb.grad().clone();
  }();
  check("grad.rgb of the recorded gradient", from_recorded_gradient, cases.tensor("grad.rgb"), kTolerance);
}

TEST(GoldenTimestepShift, EqualsTheReference) {
  T3D_NEED_CASES("sds/asd.safetensors");
  const GoldenCases cases("sds/asd.safetensors");
  const GoldenOptions options("sds/asd.safetensors");
  const auto vector = [&](const std::string& name) { return testing::steps_of(cases.tensor(name)).host; };
  const auto t = vector("shift.t");
  const GoldenOptions shift = options.block("shift"), random = shift.block("random");
  const int64_t t_min = shift.whole("min_step"), n_steps = options.whole("num_train_timesteps");
  for (const auto& ratio : shift.at("plus_ratios"))
    EXPECT_EQ(
        (TimestepShift{ratio.get<double>(), false}.apply(t, std::vector<float>(t.size(), 1), t_min, n_steps)),
        vector(cat("shift.t_plus.ratio", ratio.dump())))
        << ratio;
  const auto u = cases.tensor("shift.u");
  EXPECT_EQ((TimestepShift{random.number("plus_ratio"), random.truth("plus_random")}.apply(
                t, std::vector<float>(u.data_ptr<float>(), u.data_ptr<float>() + u.numel()), t_min, n_steps)),
            vector(cat("shift.t_plus.ratio", random.at("plus_ratio").dump(), "_random")));
}

}  // namespace
}  // namespace t3d::guidance
