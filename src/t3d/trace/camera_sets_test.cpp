#include "t3d/trace/camera_sets.h"

#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::trace {
namespace {

float elevation_deg(const Camera& camera) {
  return std::asin(camera.position().z() / camera.position().norm()) * 57.29578f;
}

TEST(CameraSets, ShapenetViewsStayBetweenTheHorizonAndThirtyDegrees) {
  CameraSetOptions options;
  options.set = CameraSet::Shapenet;
  options.n_views = 500;
  options.distance = 1.2f;
  double sum = 0;
  for (const auto& camera : make_cameras(options)) {
    EXPECT_NEAR(camera.position().norm(), 1.2f, 1e-5f);
    EXPECT_GE(elevation_deg(camera), -1e-3f);
    EXPECT_LE(elevation_deg(camera), 30.001f);
    sum += elevation_deg(camera);
  }
  EXPECT_NEAR(sum / 500, 15.0, 1.2);
}

TEST(CameraSets, SphereCoversBothHemispheresEvenly) {
  CameraSetOptions options;
  options.n_views = 2000;
  Vec3f mean = Vec3f::Zero();
  for (const auto& camera : make_cameras(options)) mean += camera.position() / (2000 * options.distance);
  EXPECT_LT(mean.norm(), 0.06f);
}

TEST(CameraSets, MvdreamViewsComeInFoursAtRightAngles) {
  CameraSetOptions options;
  options.set = CameraSet::Mvdream;
  options.n_views = 8;
  const auto cameras = make_cameras(options);
  for (int i = 0; i < 8; i += 4) {
    const Vec3f a = cameras[i].position(), b = cameras[i + 1].position(), c = cameras[i + 2].position();
    EXPECT_NEAR(a.head<2>().dot(b.head<2>()), 0.0f, 1e-4f);
    EXPECT_LT((a.head<2>() + c.head<2>()).norm(), 1e-4f);
    EXPECT_NEAR(a.z(), b.z(), 1e-5f);
  }
}

TEST(CameraSets, SeedsAndSplitsDifferAndRepeat) {
  CameraSetOptions a;
  CameraSetOptions b = a;
  b.stream = 1;
  EXPECT_EQ(make_cameras(a)[0].position(), make_cameras(a)[0].position());
  EXPECT_NE(make_cameras(a)[0].position(), make_cameras(b)[0].position());
}

TEST(CameraSets, AnUnknownNameIsExplained) {
  EXPECT_THROW(camera_set_from_name("spere"), UserError);
}

}  // namespace
}  // namespace t3d::trace
