#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/guidance/guidance_eval.h"
#include "tests/support/small_run.h"

/// Steps that the memory does not suffice for. The exception is the one that LibTorch throws on CUDA, thrown
/// by stand-ins at chosen calls, so that this runs on the CPU.
namespace t3d::system {
namespace {

namespace fs = std::filesystem;
using OneRun = Run;  // gtest has a Run, too
using testing::expect_equal;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::with;
using testing::with_proposal;

constexpr const char* kTable = "geometry.encoding.encoding.encoding.params";
constexpr int kSteps = 6, kLast = kSteps - 1, kAlways = 1 << 30;

[[noreturn]] void run_out_of_memory() {
  throw c10::OutOfMemoryError(
      {__func__, __FILE__, __LINE__},
      "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 15.77 GiB total capacity)");
}

/// Calls of the guidance, and those that fail.
struct Calls {
  int first_to_fail = kAlways, n_to_fail = 0;
  int n = 0;
};

class Failing : public testing::TowardsRed {
 public:
  explicit Failing(std::shared_ptr<Calls> calls) : TowardsRed(kAlways, kAlways), calls_(std::move(calls)) {}
  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings& prompt,
                                      Rng& rng) override {
    const int call = calls_->n++;
    if (call >= calls_->first_to_fail && call - calls_->first_to_fail < calls_->n_to_fail)
      run_out_of_memory();
    return TowardsRed::operator()(views, prompt, rng);
  }
  guidance::GuidancePictures evaluate(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng&) const override {
    const auto seen = views.rgb.detach().clamp(0, 1);
    return {seen, seen, seen, seen, seen, std::vector<double>(static_cast<size_t>(seen.size(0)), 0.5)};
  }

 private:
  std::shared_ptr<Calls> calls_;
};

class OutOfMemory : public testing::RunTest {
 protected:
  /// A run without what strips draw in another order than the whole picture: of 2 * 16 * 16 rays a batch.
  Experiment steady(std::vector<std::string> more, const std::string& name,
                    const std::string& recipe = testing::kRecipe) const {
    for (const char* each : {"system.renderer.randomized=false", "system.material.ambient_only_steps=1000"})
      more.emplace_back(each);
    more.push_back(cat("trainer.max_steps=", kSteps));
    return experiment(more, name, recipe);
  }
  /// Fits with the failures and gives what was logged.
  static std::string fit_with(const Experiment& experiment, int first_to_fail, int n_to_fail) {
    OneRun run(experiment, failing(std::make_shared<Calls>(Calls{first_to_fail, n_to_fail})));
    return fit(run);
  }
  static SystemContext failing(const std::shared_ptr<Calls>& calls) {
    SystemContext c = testing::context();
    c.make_guidance = [calls] { return std::make_unique<Failing>(calls); };
    return c;
  }
  static std::string fit(OneRun& run) {
    ::testing::internal::CaptureStderr();
    try {
      run.fit();
    } catch (...) {
      ::testing::internal::GetCapturedStderr();
      throw;
    }
    return ::testing::internal::GetCapturedStderr();
  }
  static std::string message_of(OneRun& run) {
    try {
      fit(run);
    } catch (const SystemError& e) {
      return e.what();
    }
    return "";
  }
  /// The newest checkpoints of the two runs are the same but for rounding: parameters, moments, grids.
  void expect_same_to_rounding(const std::string& a, const std::string& b) const {
    const auto first = last(a), second = last(b);
    ASSERT_EQ(first.size(), second.size());
    for (const auto& [name, t] : first) {
      const auto x = t.to(at::kDouble), y = second.at(name).to(at::kDouble);
      EXPECT_LE((x - y).norm().item<double>(), 1e-3 * y.norm().item<double>() + 1e-9) << name;
    }
    EXPECT_EQ(state(a), state(b));
  }
  nlohmann::json state(const std::string& name) const {
    return train::load_checkpoint(train::find_checkpoint(folder_ + "/" + name).path).state;
  }
};

TEST_F(OutOfMemory, AStepIsTakenAgainInSmallerStripsAndSaysSo) {
  fit_with(steady({}, "whole"), kAlways, 0);
  const std::string once = fit_with(steady({}, "once"), kLast, 1);
  EXPECT_THAT(once, HasSubstr("step 5: out of memory; rendering at most 256 rays at once from here on"));
  EXPECT_THAT(once, Not(HasSubstr("128")));
  expect_same_to_rounding("once", "whole");

  const std::string thrice = fit_with(steady({}, "thrice"), kLast, 3);
  for (const int rays : {256, 128, 64})
    EXPECT_THAT(thrice, HasSubstr(cat("at most ", rays, " rays at once")));
  EXPECT_THAT(thrice, Not(HasSubstr("at most 32 rays")));
  expect_same_to_rounding("thrice", "whole");
}

TEST_F(OutOfMemory, WhatAnAttemptLeftThatFailedHalfWayDoesNotCount) {
  // With the proposal, which collects a loss of its own over the strips, too.
  for (const std::string& recipe : {std::string(testing::kRecipe), with_proposal()}) {
    fit_with(steady({}, "whole", recipe), kAlways, 0);
    OneRun run(steady({"trainer.max_rays=128"}, "a", recipe), failing(std::make_shared<Calls>()));
    run.prepare_fit();
    // Four strips a step: in the last step the third fails, with the gradient of two already there.
    int n_strips = 0;
    run.system().parameters().at(kTable).register_hook([&](at::Tensor) {
      if (++n_strips == 4 * kLast + 3) run_out_of_memory();
    });
    EXPECT_THAT(fit(run), HasSubstr("step 5: out of memory; rendering at most 64 rays at once"));
    EXPECT_EQ(n_strips, 4 * kLast + 3 + 8);
    expect_same_to_rounding("a", "whole");
    remove_tree(folder_);
  }
}

TEST_F(OutOfMemory, EarlierPartsOfAnAccumulatedStepStay) {
  const std::string in_parts = "trainer.accumulate_grad_batches=2";
  fit_with(steady({in_parts}, "whole"), kAlways, 0);
  EXPECT_THAT(fit_with(steady({in_parts}, "second"), 2 * kLast + 1, 2), HasSubstr("at most 128 rays"));
  expect_same_to_rounding("second", "whole");
}

TEST_F(OutOfMemory, ThePictureOfTheGuidanceComesWithTheAttemptThatWorks) {
  fit_with(steady({cat("system.freq.guidance_eval=", kLast)}, "a"), kLast, 1);
  EXPECT_TRUE(fs::exists(folder_ + cat("/a/save/it", kLast, "-train.png")));
}

TEST_F(OutOfMemory, WhereARowIsTooMuchTheWorkIsSavedAndTheMessageSaysWhatToLower) {
  fit_with(steady({}, "whole"), kAlways, 0);
  const auto calls = std::make_shared<Calls>(Calls{4, kAlways});
  OneRun run(steady({}, "a"), failing(calls));
  EXPECT_EQ(
      message_of(run),
      "step 4: the memory does not suffice for 512 rays, even in strips of 16. Lower data.width, "
      "data.height or system.renderer.num_samples_per_ray; the checkpoint is saved, and resume=RUN goes "
      "on from it.");
  EXPECT_EQ(calls->n, 4 + 6);  // 512, 256, 128, 64, 32 and 16 rays
  EXPECT_EQ(state("a").at("step"), 4);

  // Where there is more memory again, nothing of the failure is left.
  fit_with(steady({"resume=" + folder_ + "/a"}, "a"), kAlways, 0);
  expect_equal(last("a"), last("whole"));
}

TEST_F(OutOfMemory, InTheFirstStepThereIsNothingToGoOnFrom) {
  OneRun run(steady({}, "a"), failing(std::make_shared<Calls>(Calls{0, kAlways})));
  const std::string message = message_of(run);
  EXPECT_THAT(message, HasSubstr("step 0: the memory does not suffice for 512 rays"));
  EXPECT_THAT(message, Not(HasSubstr("resume")));
  EXPECT_FALSE(fs::exists(folder_ + "/a/ckpts"));
}

TEST_F(OutOfMemory, APatchRendererHasNoStripsAndSaysWhatElseToLower) {
  const std::string recipe = with("nerf-volume-renderer\n  renderer: {num_samples_per_ray: 24}",
                                  "patch-renderer\n  renderer: {patch_size: 8, base_renderer_type: "
                                  "nerf-volume-renderer, base_renderer: {num_samples_per_ray: 24}}");
  const auto calls = std::make_shared<Calls>(Calls{3, kAlways});
  OneRun run(experiment({}, "a", recipe), failing(calls));
  EXPECT_THAT(message_of(run),
              HasSubstr("step 3: the memory does not suffice for the images of a step. Lower "
                        "system.renderer.patch_size, or raise global_downsample; the checkpoint"));
  EXPECT_EQ(calls->n, 3 + 1);
  EXPECT_EQ(state("a").at("step"), 3);
}

TEST_F(OutOfMemory, OtherErrorsOfLibTorchAreNoReasonToTryAgain) {
  int n_tries = 0;
  OneRun run(steady({}, "a"), failing(std::make_shared<Calls>()));
  run.prepare_fit();
  run.system().parameters().at(kTable).register_hook([&](at::Tensor) {
    ++n_tries;
    TORCH_CHECK(false, "index 7 is out of bounds");
  });
  EXPECT_THROW(fit(run), c10::Error);
  EXPECT_EQ(n_tries, 1);
}

}  // namespace
}  // namespace t3d::system
