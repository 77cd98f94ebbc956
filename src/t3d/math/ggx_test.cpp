#include "t3d/math/ggx.h"

#include <gtest/gtest.h>

#include <cmath>

namespace t3d {
namespace {

constexpr double kPi = 3.14159265358979323846;

/// The same albedo by the integral over incoming directions, without visible normals.
GgxAlbedo albedo_by_directions(double cosine, double alpha) {
  const Vec3d out(std::sqrt(1 - cosine * cosine), 0, cosine);
  constexpr int kPolar = 700, kAround = 700;
  double a = 0, b = 0;
  for (int i = 0; i < kPolar; ++i)
    for (int j = 0; j < kAround; ++j) {
      const double z = (i + 0.5) / kPolar, r = std::sqrt(1 - z * z), phi = kPi * (j + 0.5) / kAround;
      const Vec3d in(r * std::cos(phi), r * std::sin(phi), z), half = (in + out).normalized();
      const double d = ggx_d(static_cast<float>(half.z()), static_cast<float>(alpha));
      const double g = double{ggx_g1(static_cast<float>(z), static_cast<float>(alpha))} *
                       ggx_g1(static_cast<float>(cosine), static_cast<float>(alpha));
      const double fresnel = std::pow(1 - out.dot(half), 5);
      const double lobe = d * g / (4 * cosine) * (2 * kPi / kPolar / kAround);
      a += (1 - fresnel) * lobe;
      b += fresnel * lobe;
    }
  return {static_cast<float>(a), static_cast<float>(b)};
}

TEST(Ggx, AlbedoIsTheIntegralOverIncomingDirections) {
  for (const double cosine : {0.15, 0.5, 0.95})
    for (const double alpha : {0.1, 0.4, 1.0}) {
      const GgxAlbedo direct = albedo_by_directions(cosine, alpha);
      const GgxAlbedo sampled = ggx_albedo(static_cast<float>(cosine), static_cast<float>(alpha), 128);
      EXPECT_NEAR(sampled.a, direct.a, 3e-3) << cosine << " " << alpha;
      EXPECT_NEAR(sampled.b, direct.b, 3e-3) << cosine << " " << alpha;
    }
}

TEST(Ggx, AMirrorReturnsEverything) {
  const GgxAlbedo head_on = ggx_albedo(0.999f, 1e-4f, 16);
  EXPECT_NEAR(head_on.a, 1, 1e-3);
  EXPECT_NEAR(head_on.b, 0, 1e-3);
  const GgxAlbedo grazing = ggx_albedo(0.01f, 1e-4f, 16);
  EXPECT_NEAR(grazing.a + grazing.b, 1, 1e-2);
  EXPECT_GT(grazing.b, 0.9f);
}

}  // namespace
}  // namespace t3d
