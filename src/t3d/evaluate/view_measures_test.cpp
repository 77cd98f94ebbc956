#include "t3d/evaluate/view_measures.h"

#include <gtest/gtest.h>

#include "t3d/evaluate/truth_views.h"
#include "t3d/trace/path_tracer.h"
#include "tests/support/optional_libraries.h"

namespace t3d::evaluate {
namespace {

/// Columns [first, last) are of an object.
io::Image8 strip(int first, int last, uint8_t alpha = 255, std::array<uint8_t, 3> rgb = {255, 0, 0}) {
  io::Image8 out(10, 4, 4);
  for (int y = 0; y < 4; ++y)
    for (int x = first; x < last; ++x) {
      std::copy(rgb.begin(), rgb.end(), out.at(x, y));
      out.at(x, y)[3] = alpha;
    }
  return out;
}

TEST(SilhouetteIou, IsTheMeanOverViews) {
  EXPECT_DOUBLE_EQ(silhouette_iou({strip(0, 6)}, {strip(0, 6)}), 1);
  EXPECT_DOUBLE_EQ(silhouette_iou({strip(0, 6)}, {strip(3, 9)}), 3.0 / 9);
  EXPECT_DOUBLE_EQ(silhouette_iou({strip(0, 6), strip(0, 2)}, {strip(3, 9), strip(5, 9)}), 0.5 * 3 / 9);
  EXPECT_DOUBLE_EQ(silhouette_iou({strip(0, 0)}, {strip(0, 0)}), 0);
}

TEST(SilhouetteIou, CountsPixelsOfMoreThanHalfAlpha) {
  EXPECT_DOUBLE_EQ(silhouette_iou({strip(0, 6, 128)}, {strip(0, 6)}), 1);
  EXPECT_DOUBLE_EQ(silhouette_iou({strip(0, 6, 127)}, {strip(0, 6)}), 0);
}

TEST(MeanChroma, IsThatOfTheObjectsPixels) {
  EXPECT_NEAR(mean_chroma({strip(0, 5)}).value(), 104.55, 0.05);  // sRGB red: a 80.09, b 67.20
  EXPECT_NEAR(mean_chroma({strip(0, 5, 255, {90, 90, 90})}).value(), 0, 0.05);
  EXPECT_NEAR(mean_chroma({strip(0, 5), strip(0, 5, 255, {90, 90, 90})}).value(), 104.55 / 2, 0.05);
  EXPECT_FALSE(mean_chroma({strip(0, 5, 100)}));
}

TEST(CameraForFitted, SeesTheObjectAsIfItHadBeenMovedAndScaled) {
  T3D_NEED_EMBREE();
  io::Mesh mesh;
  mesh.positions = {{0, 0, 0}, {0.4f, 0, 0}, {0, 0.3f, 0}, {0, 0, 0.2f}};
  mesh.faces = {{0, 1, 2}, {0, 1, 3}, {0, 2, 3}, {1, 2, 3}};
  io::Mesh moved = mesh;
  for (Vec3f& p : moved.positions) p = 1.7f * p + Vec3f(-0.2f, 0.1f, -0.3f);
  const trace::Scene scene(mesh, {}, {}), moved_scene(moved, {}, {});
  const Orbit orbit{3, 64, 15};
  trace::RenderSettings settings;
  settings.unlit = true;
  for (int v = 0; v < 3; ++v) {
    const auto seen = trace::render_view(
        scene, camera_for_fitted(orbit.camera(v), mesh.bounds(), moved.bounds()), settings);
    const auto expected = trace::render_view(moved_scene, orbit.camera(v), settings);
    EXPECT_GT(silhouette_iou({seen.rgba}, {expected.rgba}), 0.995);
  }
}

}  // namespace
}  // namespace t3d::evaluate
