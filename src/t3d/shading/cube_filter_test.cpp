#include "t3d/shading/cube_filter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "t3d/raster/cube_map.h"
#include "tests/support/golden_cases.h"

namespace t3d::shading {
namespace {

using testing::max_relative_error;

TEST(CubeFilter, SolidAnglesAreThoseOfTheWholeSphere) {
  for (const int64_t n : {1, 2, 5, 16, 64})
    EXPECT_NEAR(6 * texel_weights(n, TexelWeight::SolidAngle).sum().item<double>(), 4 * 3.14159265358979,
                1e-10);
}

TEST(CubeFilter, AnEvenLightStaysAsItIs) {
  const at::Tensor white = at::ones({6, 16, 16, 3});
  EXPECT_LT((diffuse_light(white, TexelWeight::SolidAngle) - 1).abs().max().item<double>(), 2e-3);
  const at::Tensor glossy = glossy_light(white, 0.5f, cone_cosine(0.5f), TexelWeight::SolidAngle);
  EXPECT_LT((glossy - 1).abs().max().item<double>(), 1e-5);
  EXPECT_GT(diffuse_light(white, TexelWeight::Threestudio).mean().item<double>(), 1.04)
      << "the reference's is brighter";
}

/// The same sum over every texel, without the search for those that a cone may reach.
TEST(CubeFilter, ConesMissNoTexel) {
  const int64_t n = 12;
  const at::Tensor cube = at::rand({6, n, n, 3});
  const at::Tensor directions = raster::cube_directions(n).reshape({-1, 3});
  const at::Tensor d = directions / directions.norm(2, at::IntArrayRef{-1}, true);
  const at::Tensor cosines = at::matmul(d, d.t()), weights = texel_weights(n, TexelWeight::SolidAngle);
  for (const double roughness : {0.08, 0.2, 0.5, 1.0}) {
    const double cone = cone_cosine(static_cast<float>(roughness)), a2 = std::pow(roughness, 4);
    const at::Tensor lobe = (cosines + 1) / 2 * (a2 - 1) + 1;
    const at::Tensor w = at::where(cosines >= cone, cosines / lobe.square(), at::zeros_like(lobe)) *
                         weights.reshape({1, -1}).repeat({1, 6});
    const at::Tensor expected = at::matmul(w, cube.to(at::kDouble).reshape({-1, 3})) / w.sum(1, true);
    EXPECT_LT(
        max_relative_error(glossy_light(cube, static_cast<float>(roughness), cone, TexelWeight::SolidAngle),
                           expected.reshape({6, n, n, 3})),
        1e-4)
        << roughness;
  }
}

}  // namespace
}  // namespace t3d::shading
