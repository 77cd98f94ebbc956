#include "t3d/math/camera.h"

#include <gtest/gtest.h>

namespace t3d {
namespace {

TEST(Lens, UndistortInvertsDistort) {
  Lens lens = Lens::from_fov_x(1080, 1920, 0.9f);
  lens.k1 = 0.0578f;
  lens.k2 = -0.0806f;
  lens.p1 = -0.00098f;
  lens.p2 = 0.00016f;
  for (float u : {0.5f, 200.0f, 540.0f, 1079.5f}) {
    for (float v : {0.5f, 900.0f, 1919.5f}) {
      const Vec2f p = lens.undistort(u, v);
      const Vec2f back = lens.distort(p.x(), p.y());
      EXPECT_NEAR(back.x(), u, 2e-3f);
      EXPECT_NEAR(back.y(), v, 2e-3f);
    }
  }
}

TEST(Camera, EvaluationViewMatchesTheReferenceNumbers) {
  // threestudio's evaluation camera: elevation 15, azimuth 0, distance 1.5.
  const Vec3f position = spherical_position(0, 15, 1.5f);
  EXPECT_NEAR(position.x(), 1.448889f, 1e-6f);
  EXPECT_NEAR(position.z(), 0.388229f, 1e-6f);
  const Mat4f pose = look_at(position, Vec3f::Zero());
  EXPECT_NEAR(pose(1, 0), 1.0f, 1e-6f);        // right (0,1,0)
  EXPECT_NEAR(pose(0, 1), -0.258819f, 1e-6f);  // up
  EXPECT_NEAR(pose(2, 1), 0.965926f, 1e-6f);
  EXPECT_NEAR(pose(0, 2), 0.965926f, 1e-6f);  // backward
}

TEST(Camera, TheCentreRayPointsAtTheTargetAndUpIsUp) {
  Camera camera{Lens::from_fov_x(64, 48, 0.8f), look_at({2, 1, 1}, {0, 0, 0})};
  EXPECT_LT((camera.ray(32, 24).direction + Vec3f(2, 1, 1).normalized()).norm(), 1e-6f);
  EXPECT_GT(camera.ray(32, 0.5f).direction.z(), camera.ray(32, 47.5f).direction.z());
}

TEST(Camera, LooksStraightDownWithoutDegenerateAxes) {
  const Mat4f pose = look_at({0, 0, 2}, {0, 0, 0});
  EXPECT_NEAR((pose.block<3, 3>(0, 0).determinant()), 1.0f, 1e-5f);
}

}  // namespace
}  // namespace t3d
