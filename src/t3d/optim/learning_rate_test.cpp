#include "t3d/optim/learning_rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "tests/support/message_of.h"

namespace t3d::optim {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

LearningRate schedule(const std::string& yaml) {
  return LearningRate(config::read_yaml(yaml, "test.yaml"));
}

TEST(LearningRate, LatentNerfsWarmUpThenDecay) {
  const auto rate = schedule(
      "{name: SequentialLR, interval: step, milestones: [100], schedulers: [{name: LinearLR, args: "
      "{start_factor: 0.1, end_factor: 1.0, total_iters: 100}}, {name: ExponentialLR, args: {gamma: "
      "0.99}}]}");
  EXPECT_NEAR(rate.at(2, 0), 0.2, 1e-9);
  EXPECT_NEAR(rate.at(2, 50), 2 * 0.55, 1e-9);
  EXPECT_NEAR(rate.at(2, 100), 2, 1e-9);
  EXPECT_NEAR(rate.at(2, 110), 2 * std::pow(0.99, 10), 1e-9);
}

TEST(LearningRate, KnowsPyTorchsOtherSchedules) {
  EXPECT_EQ(LearningRate().at(3, 1000), 3);
  EXPECT_NEAR(schedule("{name: CosineAnnealingLR, interval: step, args: {T_max: 10, eta_min: 1.0}}").at(3, 5),
              2, 1e-9);
  EXPECT_NEAR(schedule("{name: StepLR, interval: step, args: {step_size: 4, gamma: 0.5}}").at(1, 9), 0.25,
              1e-9);
  EXPECT_NEAR(schedule("{name: MultiStepLR, interval: step, args: {milestones: [3, 6]}}").at(1, 6), 0.01,
              1e-9);
  EXPECT_NEAR(schedule("{name: PolynomialLR, interval: step, args: {total_iters: 4}}").at(1, 3), 0.25, 1e-9);
}

TEST(LearningRate, WarmsUpAndFallsByACosine) {
  const auto rate = LearningRate::warm_up_cosine(10, 0.02f);
  EXPECT_NEAR(rate.at(2, {4, 0}), 2 * 0.5, 1e-6);  // the fraction is a float
  EXPECT_NEAR(rate.at(2, {50, 0.25}), 2 * (0.02 + 0.98 * (1 + std::sqrt(0.5)) / 2), 1e-6);
  EXPECT_NEAR(rate.at(2, {50, 1}), 2 * 0.02, 1e-6);
  EXPECT_EQ(LearningRate::warm_up_cosine(0, 1).at(2, {0, 0}), 2);
}

TEST(LearningRate, HoldsThenDecays) {
  const auto rate = LearningRate::hold_decay(0.01);
  EXPECT_EQ(rate.at(3, {7, 0.5}), 3);
  EXPECT_NEAR(rate.at(3, {7, 0.75}), 0.3, 1e-9);
  EXPECT_NEAR(rate.at(3, {7, 2}), 0.03, 1e-9);  // later than planned
}

TEST(LearningRate, EpochsNeverPass) {
  EXPECT_EQ(schedule("{name: ExponentialLR, args: {gamma: 0.5}}").at(1, 100), 1);
}

TEST(LearningRate, UnknownSchedulesAreSuggested) {
  EXPECT_THAT(message_of<UserError>([] { schedule("{name: LinearRL}"); }),
              HasSubstr("did you mean LinearLR"));
  EXPECT_THAT(message_of<UserError>([] { schedule("{name: ExponentialLR, interval: step}"); }),
              HasSubstr("gamma"));
}

}  // namespace
}  // namespace t3d::optim
