#include "t3d/guidance/guidance_eval.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/error.h"
#include "t3d/diffusion/analytic_denoiser.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/guidance/multiview_asd.h"
#include "t3d/guidance/multiview_sds.h"
#include "t3d/guidance/stable_diffusion_asd.h"
#include "t3d/guidance/stable_diffusion_vsd.h"
#include "t3d/guidance/timesteps.h"
#include "tests/support/golden_cases.h"
#include "tests/support/small_models.h"

namespace t3d::guidance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::max_relative_error;
using testing::some_prompt;
using testing::toybox_like;
using testing::views_around;

/// The denoiser of a world that has one picture only.
diffusion::AnalyticDenoiser denoiser_of(const at::Tensor& picture, const diffusion::NoiseSchedule& schedule) {
  return {{picture.unsqueeze(0), at::zeros({1}), at::ones({1})}, schedule};
}

TEST(DenoiseFrom, FindsTheOnlyPictureFromAnyNoise) {
  const diffusion::NoiseSchedule schedule;
  const auto picture = at::randn({4, 3, 3});
  const auto denoiser = denoiser_of(picture, schedule);
  const NoiseAt noise_at = [&](const at::Tensor& x, const at::Tensor& t) {
    return denoiser.predict(x, t, {});
  };
  Rng rng(1);
  for (const int64_t t : {0, 1, 20, 500, 981, 999}) {
    const auto wanted = picture.expand({2, 4, 3, 3});
    const auto noisy = schedule.add_noise(wanted, at::randn({2, 4, 3, 3}), at::full({1}, t, at::kLong));
    const Denoised walk = denoise_from(noisy, t, schedule, noise_at, rng);
    EXPECT_LT(max_relative_error(walk.clean, wanted), 2e-3) << t;
    // What is left is the noise of the first trained step: sqrt(0.00085).
    EXPECT_LT((walk.last - wanted).abs().max().item<float>(), 0.15f) << t;
    EXPECT_NEAR((walk.last - wanted).std().item<float>(), std::sqrt(1 - schedule.alpha_bar(0)), 0.02f) << t;
  }
}

TEST(DenoiseFrom, GoesDownTheEvenTimestepsBelow) {
  const diffusion::NoiseSchedule schedule;
  std::vector<int64_t> asked;
  const NoiseAt noise_at = [&](const at::Tensor& x, const at::Tensor& t) {
    asked.push_back(t[0].item<int64_t>());
    return at::zeros_like(x);
  };
  Rng rng(1);
  denoise_from(at::zeros({1, 1, 1, 1}), 70, schedule, noise_at, rng);
  EXPECT_THAT(asked, ElementsAre(70, 61, 41, 21, 1));
  asked.clear();
  denoise_from(at::zeros({1, 1, 1, 1}), 21, schedule, noise_at, rng);
  EXPECT_THAT(asked, ElementsAre(21, 1));
  asked.clear();
  denoise_from(at::zeros({1, 1, 1, 1}), 0, schedule, noise_at, rng);
  EXPECT_THAT(asked, ElementsAre(0));
}

/// From the sampler's own first timestep the walk is DDIM's with eta 1.
TEST(DenoiseFrom, IsTheSamplersWalkFromItsOwnTimesteps) {
  diffusion::SchedulerConfig config;
  config.steps_offset = 1, config.set_alpha_to_one = false, config.eta = 1;
  const auto sampler = diffusion::make_scheduler(config);
  const auto& schedule = sampler->schedule();
  const auto denoiser = denoiser_of(at::full({1, 2, 2}, 0.7), schedule);
  const NoiseAt noise_at = [&](const at::Tensor& x, const at::Tensor& t) {
    return denoiser.predict(x, t, {});
  };
  const auto start = at::randn({1, 1, 2, 2});
  Rng ours(5), theirs(5);
  const Denoised walk = denoise_from(start, 981, schedule, noise_at, ours);
  sampler->start(50);
  auto x = start;
  while (!sampler->done()) {
    const auto t = at::full({1}, static_cast<int64_t>(sampler->timestep()), at::kLong);
    x = sampler->step(noise_at(x, t), x, [&] { return draw_normal(x.sizes(), theirs, c10::kCPU); });
  }
  EXPECT_LT(max_relative_error(walk.last, x), 1e-5);
}

template <class G, class Config>
GuidancePictures pictures_of(const Config& config, int64_t n, bool is_latent, bool takes_cameras = true,
                             uint64_t seed = 3) {
  G guidance(config, toybox_like(8, takes_cameras));
  guidance.update_step(0);
  auto views = views_around(is_latent ? at::randn({n, 8, 8, 4}) : at::rand({n, 16, 16, 3}));
  views.is_latent = is_latent;
  Rng rng(seed);
  return guidance.evaluate(views, some_prompt(), rng);
}

void expect_sound(const GuidancePictures& shown, int64_t n) {
  for (const at::Tensor& column :
       {shown.rendered, shown.noisy, shown.one_step, shown.clean, shown.denoised}) {
    EXPECT_EQ(column.sizes(), at::IntArrayRef({n, 32, 32, 3}));
    EXPECT_GE(column.min().item<float>(), 0);
    EXPECT_LE(column.max().item<float>(), 1);
    EXPECT_TRUE(at::isfinite(column).all().item<bool>());
  }
  ASSERT_EQ(shown.noise_level.size(), static_cast<size_t>(n));
  for (const double level : shown.noise_level) EXPECT_TRUE(level >= 0.02 && level <= 0.98) << level;
}

TEST(GuidanceEval, EveryGuidanceShowsWhatItSees) {
  StableDiffusionSds::Config sds;
  expect_sound(pictures_of<StableDiffusionSds>(sds, 6, false, false), 4);  // max_items_eval
  sds.max_items_eval = 2;
  expect_sound(pictures_of<StableDiffusionSds>(sds, 6, true, false), 2);
  sds.max_items_eval = -1;
  expect_sound(pictures_of<StableDiffusionSds>(sds, 6, false, false), 6);
  sds.n_view = 4, sds.max_items_eval = 1;  // an object's views stay together
  expect_sound(pictures_of<StableDiffusionSds>(sds, 8, false), 4);
  expect_sound(pictures_of<StableDiffusionAsd>(StableDiffusionAsd::Config(), 3, false), 3);
  expect_sound(pictures_of<MultiviewSds>(MultiviewSds::Config(), 8, false), 4);
  expect_sound(pictures_of<MultiviewAsd>(MultiviewAsd::Config(), 4, false), 4);
  StableDiffusionVsd::Config vsd;
  vsd.pretrained_model_name_or_path_lora = vsd.pretrained_model_name_or_path;
  GuidanceContext context;
  context.open = [](const ModelRequest&) { return toybox_like(8, false); };
  StableDiffusionVsd guidance(vsd, context);
  Rng rng(3);
  expect_sound(guidance.evaluate(views_around(at::rand({2, 16, 16, 3})), some_prompt(), rng), 2);
}

/// The pictures belong to the step: the same timesteps and noise as its gradient.
TEST(GuidanceEval, SeesTheNoiseOfTheStep) {
  const auto model = toybox_like(8, false);
  StableDiffusionSds guidance(StableDiffusionSds::Config(), model);
  auto views = views_around(at::randn({2, 8, 8, 4}));
  views.is_latent = true;
  Rng evaluated(11), drawn(11);
  const auto shown = guidance.evaluate(views, some_prompt(), evaluated);
  const auto t = StepRange({}, 1000).draw(2, drawn, c10::kCPU);
  const auto noise = draw_normal({2, 4, 8, 8}, drawn, c10::kCPU);
  const auto x_t = model->schedule.add_noise(views.rgb.permute({0, 3, 1, 2}), noise, t.device);
  EXPECT_EQ(shown.noise_level[1], static_cast<double>(t.host[1]) / 1000);
  EXPECT_LT(max_relative_error(shown.noisy, guidance.decode(x_t.permute({0, 2, 3, 1}))), 1e-5);
}

TEST(GuidanceEval, LatentsThatCannotBeShownAreExplained) {
  auto model = toybox_like(8, false);
  model->vae = nullptr;
  StableDiffusionSds guidance(StableDiffusionSds::Config(), model);
  auto views = views_around(at::randn({1, 8, 8, 4}));
  views.is_latent = true;
  Rng rng(1);
  try {
    guidance.evaluate(views, some_prompt(), rng);
    FAIL();
  } catch (const UserError& e) {
    EXPECT_THAT(e.what(), HasSubstr("has no autoencoder"));
  }
}

}  // namespace
}  // namespace t3d::guidance
