#include "t3d/data/scene_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/dataset_folder.h"

namespace t3d::data {
namespace {

using ::testing::AllOf;
using testing::DatasetFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Twelve cameras on a sphere around `centre` that look at it, as frames of a transforms file; their images
/// show a disc on transparent ground, or are opaque.
void write_orbit(const DatasetFolder& set, const Vec3d& centre, double distance, bool has_alpha,
                 const std::string& keys, bool outward = false) {
  std::string frames;
  for (int i = 0; i < 12; ++i) {
    const Vec3f from = spherical_position(30.0f * static_cast<float>(i), i % 2 == 0 ? 20.0f : 50.0f, 1.0f);
    const Mat4f pose = look_at(from, outward ? Vec3f(2.0f * from) : Vec3f(Vec3f::Zero()));
    std::string rows;
    for (int r = 0; r < 3; ++r)
      rows += cat("[", pose(r, 0), ",", pose(r, 1), ",", pose(r, 2), ",",
                  std::to_string(centre[r] + distance * static_cast<double>(from[r])), "],");
    const std::string name = cat("images/", i, ".png");
    io::Image8 rgba(24, 24, 4);
    for (int y = 0; y < 24; ++y)
      for (int x = 0; x < 24; ++x)
        rgba.at(x, y)[3] = !has_alpha || (x - 12) * (x - 12) + (y - 12) * (y - 12) < 64 ? 255 : 0;
    set.image(name, rgba);
    frames +=
        cat(i > 0 ? "," : "", R"({"file_path": ")", name, R"(", "transform_matrix": [)", rows, "[0,0,0,1]]}");
  }
  set.transforms(frames, R"("fl_x": 30, )" + keys);
}

float mean_distance(const PosedImages& images) {
  float sum = 0;
  for (const View& view : images.train) sum += view.camera.position().norm();
  return sum / static_cast<float>(images.train.size());
}

TEST(SceneFit, RightScalesStayAsTheyAre) {
  for (const bool has_alpha : {true, false}) {
    const DatasetFolder set;
    write_orbit(set, Vec3d::Zero(), 4, has_alpha, R"("aabb_scale": 1, )");
    EXPECT_THAT(set.message(), ::testing::Not(HasSubstr("scale"))) << has_alpha;
    EXPECT_NEAR(mean_distance(set.read()), 4 * 0.33f, 1e-3f);
  }
}

TEST(SceneFit, ObjectsThatTheBoxMissesAreScaled) {
  // Elsewhere; too far away for the box; on a map; far smaller.
  for (const auto& [centre, distance] : {std::pair{Vec3d(3, -2, 9), 3.0},
                                         {Vec3d(0, 0, 0), 60.0},
                                         {Vec3d(4.5e5, 5.2e6, 110), 12.0},
                                         {Vec3d(2, 0, 0), 0.3}}) {
    const DatasetFolder set;
    write_orbit(set, centre, distance, true, R"("applied_transform": [[1,0,0,0],[0,0,1,0],[0,-1,0,0]], )");
    const PosedImages images = set.read();
    EXPECT_THAT(DatasetFolder::notes(images),
                AllOf(HasSubstr("the file gives no scale"), HasSubstr("now 100 %")))
        << centre.transpose();
    // The ball that the disc of 8/30 of the distance shows fills the box.
    EXPECT_NEAR(mean_distance(images), 0.5f / 1.05f / (8.0f / 30.0f), 0.2f) << centre.transpose();
    EXPECT_EQ(images.aabb_scale, 1.0f);
    const Vec4f back = images.scene_from_world.inverse() * Vec4f(0, 0, 0, 1);
    EXPECT_LT((back.head<3>().cast<double>() - centre).norm(), 0.1 * distance + 1e-6 * centre.norm());
  }
}

TEST(SceneFit, PhotographsThatTheBoxMissesAreScaledWithTheirSurroundings) {
  // Elsewhere; around the origin, but so far away that the box is a small thing in the middle of the images.
  for (const auto& [centre, distance] : {std::pair{Vec3d(30, 10, 5), 8.0}, {Vec3d(0, 0, 0), 10.0}}) {
    const DatasetFolder set;
    write_orbit(set, centre, distance, false, "");
    const PosedImages images = set.read();
    EXPECT_THAT(DatasetFolder::notes(images), HasSubstr("scaled by"));
    EXPECT_NEAR(mean_distance(images), 1, 1e-3f);
    EXPECT_EQ(images.aabb_scale, 2.0f);
  }
}

TEST(SceneFit, AScaleThatTheFileGivesIsNotReplaced) {
  const DatasetFolder set;
  for (const char* keys :
       {R"("scale": 0.33, )", R"("offset": [0.5, 0.5, 0.5], )", R"("aabb": [[-1,-1,-1],[1,1,1]], )"}) {
    write_orbit(set, {30, 10, 5}, 3, true, keys);
    EXPECT_THAT(set.message(),
                AllOf(StartsWith("error: "), HasSubstr("0 % of the pixels with something look at")))
        << keys;
  }
  write_orbit(set, Vec3d::Zero(), 60, true, R"("scale": 0.33, )");
  EXPECT_THAT(set.message(), HasSubstr("its scale, offset or box may be wrong"));
}

TEST(SceneFit, CamerasThatLookAtNothingInCommonAreExplained) {
  const DatasetFolder set;
  write_orbit(set, {30, 10, 5}, 3, true, "", true);
  EXPECT_THAT(set.message(), AllOf(StartsWith("error: "), HasSubstr("do not look at one place")));
}

TEST(SceneFit, FocusOfParallelAxesIsUncertain) {
  std::vector<Mat4d> poses(5, Mat4d::Identity());
  for (size_t i = 0; i < poses.size(); ++i) poses[i](0, 3) = static_cast<double>(i);
  EXPECT_FALSE(camera_focus(poses).is_certain);
}

}  // namespace
}  // namespace t3d::data
