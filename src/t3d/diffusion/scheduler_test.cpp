#include "t3d/diffusion/scheduler.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_options.h"

namespace t3d::diffusion {
namespace {

using ::testing::HasSubstr;

std::string golden(const std::string& path) {
  return t3d::testing::golden_folder() + "/schedulers/" + path;
}

void expect_same(const std::string& name, const at::Tensor& found, const at::Tensor& expected,
                 double bar = 1e-4) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << name;
  const auto a = found.to(at::kDouble), b = expected.to(at::kDouble);
  const double error = (a - b).abs().max().item<double>() / std::max(1e-12, b.abs().max().item<double>());
  t3d::testing::record_golden("schedulers/" + name, error);
  EXPECT_LE(error, bar) << name;
}

at::Tensor numbers(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble);
}

TEST(GoldenScheduler, NoiseScheduleAndConversions) {
  T3D_NEED_CASES("schedulers/cases.safetensors");
  const io::SafetensorsFile cases(golden("cases.safetensors"));
  const t3d::testing::GoldenOptions options("schedulers/cases.safetensors");
  const NoiseSchedule schedule(SchedulerConfig::from_json(options.json(), "options.json", "ddim").schedule);
  const auto x0 = cases.tensor("x0"), noise = cases.tensor("noise"), t = cases.tensor("t");
  expect_same("betas", schedule.betas(), cases.tensor("betas"), 1e-6);
  expect_same("alphas_cumprod", schedule.alphas_cumprod(), cases.tensor("alphas_cumprod"), 1e-6);
  const auto noisy = schedule.add_noise(x0, noise, t), velocity = schedule.velocity(x0, noise, t);
  expect_same("add_noise", noisy, cases.tensor("add_noise"));
  expect_same("velocity", velocity, cases.tensor("velocity"));
  expect_same("eps_from_v", schedule.noise_of(velocity, noisy, t, Prediction::Velocity),
              cases.tensor("eps_from_v"));
  expect_same("x0_from_v", schedule.clean_of(velocity, noisy, t, Prediction::Velocity),
              cases.tensor("x0_from_v"));
  for (const auto& type : options.at("pred_x0_prediction_types")) {
    const auto name = type.get<std::string>();
    expect_same("pred_x0." + name,
                schedule.clean_of(cases.tensor("eps_hat"), noisy, t, prediction_of(name, "options.json")),
                cases.tensor("pred_x0." + name));
  }
}

TEST(GoldenScheduler, EveryTrajectoryIsTheReferences) {
  T3D_NEED_CASES("schedulers/cases.safetensors");
  const io::SafetensorsFile cases(golden("cases.safetensors"));
  const t3d::testing::GoldenOptions options("schedulers/cases.safetensors");
  const auto configs = io::read_json_file(t3d::testing::golden_folder() + "/" + options.text("configs"));
  const auto of = options.block("model");
  const double a = of.number("a"), b = of.number("b"), c = of.number("c"), d = of.number("d");
  const auto model = [&](const at::Tensor& x, double t) { return a * x + b * at::sin(c * x + t / d); };
  for (const auto& [name, entry] : configs.items()) {
    SCOPED_TRACE(name);
    const auto run = options.run(name);
    auto config = SchedulerConfig::from_json(entry.at("init"), name, entry.at("class").get<std::string>());
    config.eta = run.number("eta");
    const auto scheduler = make_scheduler(config);
    scheduler->start(entry.at("steps").get<int64_t>());
    expect_same(name + ".timesteps", numbers(scheduler->timesteps()), cases.tensor(name + ".timesteps"),
                1e-6);
    if (cases.contains(name + ".sigmas"))
      expect_same(name + ".sigmas", numbers(scheduler->sigmas()), cases.tensor(name + ".sigmas"));
    const auto variance_noise =
        run.has("variance_noise") ? cases.tensor(run.text("variance_noise")) : at::Tensor();
    auto x = cases.tensor("x_init") * scheduler->init_noise_sigma();
    std::vector<at::Tensor> walk{x};
    while (!scheduler->done()) {
      const auto output = model(scheduler->scaled_input(x), scheduler->timestep());
      const auto n = static_cast<int64_t>(walk.size()) - 1;
      x = scheduler->step(output, x, [&] { return variance_noise[n]; });
      walk.push_back(x);
    }
    expect_same(name + ".trajectory", at::stack(walk), cases.tensor(name + ".trajectory"));
  }
  EXPECT_EQ(configs.size(), options.runs().size());
}

TEST(NoiseSchedule, RescalingLeavesNoSignalAtTheEnd) {
  NoiseScheduleConfig config;
  const double first = NoiseSchedule(config).alpha_bar(0);
  config.zero_terminal_snr = true;
  const NoiseSchedule schedule(config);
  EXPECT_EQ(schedule.alpha_bar(999), 0);
  EXPECT_NEAR(schedule.alpha_bar(0), first, 1e-6);
  for (int64_t t = 1; t < 1000; ++t) ASSERT_LT(schedule.alpha_bar(t), schedule.alpha_bar(t - 1));
}

TEST(NoiseSchedule, ConversionsAreEachOthersInverse) {
  const NoiseSchedule schedule;
  const auto x0 = at::randn({3, 4, 2, 2}), noise = at::randn({3, 4, 2, 2});
  const auto t = at::tensor({0, 400, 900}, at::kLong);
  const auto x = schedule.add_noise(x0, noise, t);
  EXPECT_LT((schedule.noise_of(x0, x, t, Prediction::Sample) - noise).abs().max().item<float>(), 1e-3);
  EXPECT_LT((schedule.clean_of(noise, x, t, Prediction::Epsilon) - x0).abs().max().item<float>(), 1e-3);
}

nlohmann::json stable_diffusion(const std::string& spacing, bool zero_snr) {
  return {{"beta_start", 0.00085},
          {"beta_end", 0.012},
          {"beta_schedule", "scaled_linear"},
          {"clip_sample", false},
          {"set_alpha_to_one", false},
          {"steps_offset", 1},
          {"skip_prk_steps", true},
          {"timestep_spacing", spacing},
          {"rescale_betas_zero_snr", zero_snr},
          {"prediction_type", zero_snr ? "v_prediction" : "epsilon"}};
}

/// With one clean sample behind all noise, every walk ends near it, by as much as the last trained step is
/// noisy and, with linspace, the steps that are meant miss the ones that are taken.
TEST(Scheduler, EverySamplerFindsTheOnlySample) {
  const auto x0 = at::randn({1, 4, 3, 3});
  const auto source = [&] { return at::randn_like(x0); };
  for (const char* kind : {"ddpm", "ddim", "euler", "dpm", "pndm"})
    for (const char* spacing : {"leading", "linspace", "trailing"})
      for (const bool zero_snr : {false, true}) {
        if (zero_snr && (std::string(kind) == "pndm" || std::string(spacing) == "leading")) continue;
        SCOPED_TRACE(cat(kind, " ", spacing, " ", zero_snr));
        const auto scheduler =
            make_scheduler(SchedulerConfig::from_json(stable_diffusion(spacing, zero_snr), "test", kind));
        scheduler->start(25);
        auto x = at::randn_like(x0) * scheduler->init_noise_sigma();
        while (!scheduler->done()) {
          const auto input = scheduler->scaled_input(x);
          const double a = scheduler->schedule().alpha_bar(std::lround(scheduler->timestep()));
          // The noise, or the velocity, whose clean sample is x0.
          const auto output = zero_snr ? (std::sqrt(a) * input - x0) / std::sqrt(1 - a)
                                       : (input - std::sqrt(a) * x0) / std::sqrt(1 - a);
          x = scheduler->step(output, x, source);
          ASSERT_TRUE(at::isfinite(x).all().item<bool>());
        }
        EXPECT_LT((x - x0).abs().max().item<float>(), 0.2);
      }
}

TEST(Scheduler, StartsAnewAndRefusesTooManySteps) {
  const auto scheduler =
      make_scheduler(SchedulerConfig::from_json(stable_diffusion("leading", false), "t", "dpm"));
  const auto x = at::randn({1, 4, 2, 2});
  const auto walk = [&] {
    scheduler->start(5);
    auto y = x;
    while (!scheduler->done()) y = scheduler->step(0.1 * y, y, {});
    return y;
  };
  EXPECT_TRUE(walk().equal(walk()));
  EXPECT_THROW(scheduler->start(0), UserError);
  EXPECT_THROW(scheduler->start(1001), UserError);
}

TEST(Scheduler, ExplainsWhatItLacks) {
  const auto message = [](nlohmann::json change, const char* kind) -> std::string {
    auto config = stable_diffusion("leading", false);
    config.update(change);
    try {
      make_scheduler(SchedulerConfig::from_json(config, "scheduler_config.json", kind));
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message({{"unknown_key", 1}}, "ddim"), "");
  EXPECT_THAT(message(nlohmann::json::object(), "LMSDiscreteScheduler"), HasSubstr("unknown scheduler"));
  EXPECT_THAT(message({{"prediction_type", "flow"}}, "ddim"), HasSubstr("prediction_type is flow"));
  EXPECT_THAT(message({{"thresholding", true}}, "ddim"), HasSubstr("thresholding"));
  EXPECT_THAT(message({{"skip_prk_steps", false}}, "PNDMScheduler"), HasSubstr("skip_prk_steps"));
  EXPECT_THAT(message({{"solver_order", 3}}, "dpm"), HasSubstr("solver_order"));
  EXPECT_THAT(message({{"beta_schedule", "cubic"}}, "ddim"), HasSubstr("beta_schedule is cubic"));
  EXPECT_THAT(message({{"beta_end", 7}}, "ddim"), HasSubstr("between 0 and 1"));
  EXPECT_THAT(message({{"trained_betas", {0.1, "x"}}}, "ddim"), HasSubstr("trained_betas"));
  EXPECT_THAT(message({{"num_train_timesteps", -5}}, "ddim"), HasSubstr("num_train_timesteps"));
}

}  // namespace
}  // namespace t3d::diffusion
