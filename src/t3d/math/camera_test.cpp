#include "t3d/math/camera.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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

/// Lenses of each kind, with the distortion that photographs have.
std::vector<Lens> distorted_lenses() {
  Lens opencv = Lens::from_fov_x(800, 600, 1.2f);
  opencv.k1 = -0.2f, opencv.k2 = 0.06f, opencv.k3 = -0.01f, opencv.k4 = 0.002f;
  opencv.p1 = 0.001f, opencv.p2 = -0.0005f;
  Lens rational = Lens::from_fov_x(800, 600, 1.0f);
  rational.k1 = 0.4f, rational.k2 = 0.1f, rational.k3 = 0.02f;
  rational.d1 = 0.6f, rational.d2 = 0.15f, rational.d3 = 0.01f;
  Lens fisheye = Lens::from_fov_x(800, 800, 1.0f);
  fisheye.fx = fisheye.fy = 250.0f;  // 3.2 rad across
  fisheye.is_fisheye = true;
  fisheye.k1 = -0.03f, fisheye.k2 = 0.004f, fisheye.k3 = -0.0008f, fisheye.k4 = 0.0001f;
  Lens equidistant = fisheye;
  equidistant.k1 = equidistant.k2 = equidistant.k3 = equidistant.k4 = 0;
  return {opencv, rational, fisheye, equidistant};
}

TEST(Lens, ProjectsTheDirectionOfAPixelBackOntoIt) {
  for (const Lens& lens : distorted_lenses())
    for (float u : {0.5f, 130.0f, 400.0f, 799.5f})
      for (float v : {0.5f, 300.0f, 599.5f}) {
        const Vec2f back = lens.project(3.0f * lens.direction(u, v));
        EXPECT_NEAR(back.x(), u, 5e-3f) << lens.is_fisheye << " " << u << " " << v;
        EXPECT_NEAR(back.y(), v, 5e-3f) << lens.is_fisheye << " " << u << " " << v;
      }
}

TEST(Lens, FisheyeFollowsOpenCvsFormula) {
  const Lens lens = distorted_lenses()[2];
  const Vec3f point(0.6f, -0.9f, 0.4f);
  const double r = std::hypot(0.6, 0.9), a = std::atan2(r, 0.4), a2 = a * a;
  const double image = a * (1 + a2 * (-0.03 + a2 * (0.004 + a2 * (-0.0008 + a2 * 0.0001))));
  EXPECT_NEAR(lens.project(point).x(), 250 * image * 0.6 / r + 400, 1e-2);
  EXPECT_NEAR(lens.project(point).y(), -250 * image * 0.9 / r + 400, 1e-2);
  // Behind the camera's plane, too: an equidistant lens sees it at 100 degrees from the axis.
  const Lens wide = distorted_lenses()[3];
  EXPECT_NEAR(wide.project({std::sin(1.745f), 0, std::cos(1.745f)}).x(), 400 + 250 * 1.745f, 1e-2);
  EXPECT_NEAR(wide.direction(400 + 250 * 1.745f, 400).z(), std::cos(1.745f), 1e-4);
}

TEST(Lens, LargestAngleIsWhereTheImageFoldsBack) {
  Lens lens = distorted_lenses()[3];
  EXPECT_NEAR(lens.largest_angle(), 3.1416f, 1e-2);
  lens.k1 = -0.1f;  // angle - 0.1 angle^3 rises up to sqrt(1 / 0.3)
  EXPECT_NEAR(lens.largest_angle(), std::sqrt(1 / 0.3f), 5e-3);
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
