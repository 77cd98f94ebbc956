#include "t3d/system/regularisers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/system/shape_guide.h"
#include "tests/support/box_file.h"
#include "tests/support/temporary_folder.h"

namespace t3d::system {
namespace {

TEST(Regularisers, HaveTheirValuesOnSimplePictures) {
  const auto o = at::tensor({0.f, 1.f}).reshape({1, 1, 2, 1});
  EXPECT_NEAR(sparsity_loss(o).item<float>(), (0.1f + std::sqrt(1.01f)) / 2, 1e-6);
  const double entropy = -(1e-3 * std::log(1e-3) + (1 - 1e-3) * std::log(1 - 1e-3));
  EXPECT_NEAR(opaque_loss(o).item<float>(), entropy, 1e-6);
  EXPECT_NEAR(opaque_loss(at::full({1, 2, 2, 1}, 0.5f)).item<float>(), std::log(2.0), 1e-6);
  EXPECT_NEAR(z_variance_loss(at::tensor({5.f, 2.f}).reshape({1, 1, 2, 1}), o).item<float>(), 2, 1e-6);
  EXPECT_EQ(z_variance_loss(o, at::zeros_like(o)).item<float>(), 0);
  render::RenderOutput out;
  out.geometry.sdf_grad = at::tensor({0.f, 0.f, 1.f, 0.f, 3.f, 4.f, 90.f, 0.f, 0.f}).reshape({3, 3});
  out.t_intervals = at::tensor({0.1f, 0.1f, 0.f}).reshape({3, 1});
  EXPECT_NEAR(eikonal_loss(out).item<float>(), 8, 1e-5);
  EXPECT_NEAR(emptiness_loss(at::full({3, 1}, 1.f), 10).item<float>(), std::log(11.0), 1e-5);
}

TEST(ShapeGuide, CountsMatterOutsideAndItsLackInside) {
  const testing::TemporaryFolder folder;
  testing::write_box_file(folder / "box.obj", {-1, -1, -2}, {1, 1, 2});
  const ShapeGuide guide(folder / "box.obj");
  const auto loss = [&](float x, float density, float length = 0.1f) {
    return guide
        .loss(at::full({1, 1}, density), at::tensor({x, 0.f, 0.f}).reshape({1, 3}), at::full({1, 1}, length))
        .item<float>();
  };
  constexpr float kEnd = 0.7f * 0.81649658f;  // of the box along x: 2 of sqrt(6)
  const double far = 1 - std::exp(-0.2 * 0.2 / (2 * 0.09));
  EXPECT_NEAR(loss(kEnd + 0.2f, 100), far * -std::log(1e-4), 1e-3);
  EXPECT_NEAR(loss(kEnd + 0.2f, 0), far * -std::log(1 - 1e-4), 1e-4);
  EXPECT_GT(loss(0, 0), 100 * loss(0, 100));
  EXPECT_NEAR(loss(kEnd + 1e-4f, 100), 0, 1e-4);  // the surface itself is left alone
  EXPECT_EQ(loss(kEnd + 0.2f, 100, 0), 0);
}

TEST(Regularisers, OrientationCountsWhatTurnsAwayFromTheCamera) {
  render::RenderOutput out;
  out.opacity = at::tensor({1.f, 0.f}).reshape({1, 1, 2, 1});
  out.weights = at::tensor({0.5f, 0.5f}).reshape({2, 1});
  out.t_dirs = at::tensor({0.f, 0.f, -1.f, 0.f, 0.f, -1.f}).reshape({2, 3});
  out.geometry.normal = at::tensor({0.f, 0.f, 1.f, 0.f, 0.6f, -0.8f}).reshape({2, 3});
  EXPECT_NEAR(orientation_loss(out).item<float>(), 0.5f * 0.64f, 1e-6);
  out.geometry.normal = at::Tensor();
  EXPECT_THROW(orientation_loss(out), UserError);
}

TEST(Regularisers, ACentreThatIsNearerHasTheLowerDepthLoss) {
  auto depth = at::full({1, 8, 8, 1}, 2.f);
  const auto opacity = at::ones({1, 8, 8, 1});
  depth.narrow(1, 2, 4).narrow(2, 2, 4).fill_(1.5f);
  const double near_centre = centre_depth_loss(depth, opacity, 0.5).item<double>();
  EXPECT_TRUE(std::isfinite(near_centre));
  EXPECT_NEAR(near_centre, -std::log(0.5), 1e-4);
}

}  // namespace
}  // namespace t3d::system
