#include "t3d/data/random_cameras.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/read_yaml.h"
#include "t3d/data/camera_rays.h"

namespace t3d::data {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<CameraData> cameras(const std::string& type, const std::string& yaml, uint64_t seed = 3) {
  return camera_data().make(type, config::read_yaml(yaml, "test.yaml"), "data", {seed, c10::kCPU});
}

const char* const kSingle = "random-camera-datamodule";
const char* const kMulti = "mvdream-random-multiview-camera-datamodule";
const char* const kStill = "camera_perturb: 0.0\ncenter_perturb: 0.0\nup_perturb: 0.0\n";

double value(const at::Tensor& t) {
  return t.item<double>();
}

// The reference's numbers: threestudio specification, section 9.
TEST(RandomCameras, EvaluationViewAtAzimuth0StandsOnPlusX) {
  const auto data = cameras(kSingle, "");
  const CameraBatch b = data->val_view(0);
  const float expected[3][4] = {
      {0, -0.258819f, 0.965926f, 1.448889f}, {1, 0, 0, 0}, {0, 0.965926f, 0.258819f, 0.388229f}};
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 4; ++c) EXPECT_NEAR(value(b.c2w[0][r][c]), expected[r][c], 1e-5) << r << "," << c;
  EXPECT_NEAR(value(b.proj_mtx[0][0][0]), 1.428148, 1e-5);
  EXPECT_NEAR(value(b.proj_mtx[0][1][1]), -1.428148, 1e-5);
  EXPECT_NEAR(value(b.proj_mtx[0][2][3]), -0.020002, 1e-6);
  EXPECT_NEAR(value(b.mvp_mtx[0][2][3]), 1.480298, 1e-5);
  EXPECT_NEAR(value(b.mvp_mtx[0][3][3]), 1.5, 1e-5);
  EXPECT_TRUE(b.light_positions.equal(b.camera_positions));
}

TEST(RandomCameras, RaysGoThroughPixelCentresTopRowFirst) {
  const auto data = cameras(kSingle, "eval_height: 2\neval_width: 4\n");
  const CameraBatch b = data->val_view(0);
  const at::Tensor directions = camera_rays(b).directions;
  ASSERT_EQ(directions.sizes(), at::IntArrayRef({1, 2, 4, 3}));
  EXPECT_GT(value(directions[0][0][0][2]), value(directions[0][1][0][2]));  // the top row looks higher
  EXPECT_LT(value(directions[0][0][0][1]), value(directions[0][0][3][1]));  // right is +y
  EXPECT_NEAR(value(directions.norm(2, -1).sub(1).abs().max()), 0, 1e-6);
  const auto middle = directions.mean({1, 2}).reshape({3});
  EXPECT_LT(value(at::cross(middle, b.camera_positions[0]).norm()), 1e-5);  // towards the origin
}

TEST(RandomCameras, TestCircleClosesAndValidationCircleDoesNot) {
  const auto data = cameras(kSingle, "n_val_views: 4\nn_test_views: 5\neval_height: 2\neval_width: 2\n");
  EXPECT_NEAR(value(data->val_view(3).azimuth[0]), 270, 1e-4);
  EXPECT_NEAR(value(data->test_view(1).azimuth[0]), 90, 1e-4);
  EXPECT_TRUE(at::allclose(data->test_view(4).c2w, data->test_view(0).c2w, 1e-4, 1e-5));
}

TEST(RandomCameras, DrawsStayInTheirRanges) {
  const auto data = cameras(kSingle, std::string(kStill) +
                                         "batch_size: 8\nheight: 2\nwidth: 2\nelevation_range: [-10, 45]\n"
                                         "camera_distance_range: [1.2, 1.4]\nfovy_range: [40, 50]\n");
  for (int64_t step = 0; step < 50; ++step) {
    const CameraBatch b = data->train_batch(step);
    EXPECT_GE(value(b.elevation.min()), -10.001);
    EXPECT_LE(value(b.elevation.max()), 45.001);
    EXPECT_GE(value(b.camera_distances.min()), 1.2 - 1e-6);
    EXPECT_LE(value(b.camera_distances.max()), 1.4 + 1e-6);
    EXPECT_GE(value(b.fovy.min()), 40 * M_PI / 180 - 1e-5);
    EXPECT_LE(value(b.fovy.max()), 50 * M_PI / 180 + 1e-5);
    EXPECT_NEAR(value(b.camera_positions.norm(2, 1).sub(b.camera_distances).abs().max()), 0, 1e-5);
    const auto eighth = ((b.azimuth + 180) / 45).floor();  // one camera in each eighth of the circle
    EXPECT_TRUE(eighth.equal(at::arange(8, at::kFloat)));
  }
}

TEST(RandomCameras, HalfOfTheElevationsAreUniformOnTheSphere) {
  Rng rng(1);
  double in_angle = 0, on_sphere = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    in_angle += draw_elevation({0, 90}, true, rng) / kDraws;
    on_sphere += draw_elevation({0, 90}, false, rng) / kDraws;
  }
  EXPECT_NEAR(in_angle, 45, 0.7);
  EXPECT_NEAR(on_sphere, 90 - 180 / M_PI, 0.7);  // the mean of asin(u)
}

TEST(RandomCameras, PerturbationsHaveTheirWidths) {
  RandomCameraConfig config;
  Rng rng(2);
  double centre = 0, position = 0;
  constexpr int kDraws = 5000;
  for (int i = 0; i < kDraws; ++i) {
    ViewPlan plan;
    plan.position.setZero();
    perturb(config, plan, rng);
    EXPECT_LE(plan.position.cwiseAbs().maxCoeff(), 0.1f);
    centre += plan.center.squaredNorm() / 3 / kDraws;
    position += plan.position.squaredNorm() / 3 / kDraws;
  }
  EXPECT_NEAR(std::sqrt(centre), 0.2, 0.01);
  EXPECT_NEAR(position, 0.01 / 3, 3e-4);  // uniform: half width squared over three
}

TEST(RandomCameras, Magic3dsLightStandsOnTheCamerasSide) {
  RandomCameraConfig config;
  config.light_sample_strategy = "magic3d";
  Rng rng(4);
  const Vec3f position(1, 0.5f, 0.3f);
  for (int i = 0; i < 200; ++i) {
    const Vec3f light = draw_light(config, position, rng);
    EXPECT_GE(light.norm(), 0.8f - 1e-5f);
    EXPECT_LE(light.norm(), 1.5f + 1e-5f);
    EXPECT_GE(light.normalized().dot(position.normalized()), 0.5f - 1e-4f);  // at least 30 degrees up
  }
}

TEST(RandomCameras, ListsChangeAtTheirMilestones) {
  const auto data =
      cameras(kSingle, "height: [4, 8]\nwidth: [4, 6]\nbatch_size: [2, 1]\nresolution_milestones: [100]\n");
  data->update_step(99);
  EXPECT_EQ(camera_rays(data->train_batch(99)).origins.sizes(), at::IntArrayRef({2, 4, 4, 3}));
  data->update_step(100);
  EXPECT_EQ(camera_rays(data->train_batch(100)).origins.sizes(), at::IntArrayRef({1, 8, 6, 3}));
}

TEST(RandomCameras, ProgressiveRangesGrowFromTheEvaluationView) {
  RandomCameraConfig config;
  config.progressive_until = 99;
  EXPECT_EQ(stage_at(config, 0).elevation_range, (std::array<float, 2>{15, 15}));
  EXPECT_EQ(stage_at(config, 0).azimuth_range, (std::array<float, 2>{0, 0}));
  EXPECT_FLOAT_EQ(stage_at(config, 50).elevation_range[1], 52.5f);
  EXPECT_EQ(stage_at(config, 100).azimuth_range, config.azimuth_range);
}

TEST(RandomCameras, BatchesDependOnSeedAndStepAlone) {
  const auto a = cameras(kSingle, "height: 2\nwidth: 2\n", 5),
             b = cameras(kSingle, "height: 2\nwidth: 2\n", 5);
  a->train_batch(1);
  EXPECT_TRUE(a->train_batch(7).c2w.equal(b->train_batch(7).c2w));
  EXPECT_FALSE(a->train_batch(7).c2w.equal(a->train_batch(8).c2w));
}

TEST(MultiviewCameras, ViewsOfAnObjectAreEvenlySpacedAndShareTheRest) {
  const auto data = cameras(kMulti, std::string(kStill) +
                                        "batch_size: 8\nn_view: 4\nheight: 2\nwidth: 2\n"
                                        "camera_distance_range: [0.8, 1.0]\nfovy_range: [15, 60]\n");
  const CameraBatch b = data->train_batch(11);
  EXPECT_EQ(b.n_view, 4);
  for (int64_t object = 0; object < 2; ++object) {
    const auto rows = [&](const at::Tensor& t) { return t.slice(0, 4 * object, 4 * object + 4); };
    const auto azimuth = rows(b.azimuth);
    EXPECT_NEAR(value((azimuth.slice(0, 1) - azimuth.slice(0, 0, -1) - 90).abs().max()), 0, 1e-3);
    for (const auto& shared : {b.elevation, b.fovy, b.camera_distances})
      EXPECT_EQ(value(rows(shared).max()), value(rows(shared).min()));
  }
  EXPECT_NE(value(b.elevation[0]), value(b.elevation[4]));
  // relative_radius: what the picture is high at the origin does not depend on the lens.
  const auto closeness = b.camera_distances * (b.fovy / 2).tan();
  EXPECT_GE(value(closeness.min()), 0.8 - 1e-5);
  EXPECT_LE(value(closeness.max()), 1.0 + 1e-5);
}

TEST(MultiviewCameras, ElevationsCoverTheirRange) {
  const auto data =
      cameras(kMulti, std::string(kStill) + "n_view: 1\nheight: 1\nwidth: 1\nelevation_range: [0, 30]\n");
  double highest = 0;
  for (int64_t step = 0; step < 200; ++step)
    highest = std::max(highest, value(data->train_batch(step).elevation[0]));
  EXPECT_GT(highest, 28);
}

TEST(RandomCameras, ContradictionsAreNamed) {
  const auto message = [](const std::string& type, const std::string& yaml) -> std::string {
    try {
      cameras(type, yaml);
    } catch (const UserError& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(message(kSingle, "height: [64, 128]\n"), HasSubstr("one milestone less"));
  EXPECT_THAT(message(kSingle, "elevation_range: [30, 0]\n"), HasSubstr("elevation_range"));
  EXPECT_THAT(message(kMulti, "batch_size: 6\nn_view: 4\n"), HasSubstr("multiple of n_view"));
  EXPECT_THAT(message(kSingle, "heigth: 3\n"), HasSubstr("did you mean data.height"));
}

}  // namespace
}  // namespace t3d::data
