#pragma once

#include <cmath>

#include "t3d/math/vec.h"

namespace t3d {

/// Microfacets distributed by GGX, Walter et al. 2007, "Microfacet models for refraction through rough
/// surfaces". Directions are unit and in the frame of the surface, whose normal is +z; alpha is the square of
/// the roughness that materials have.
///
/// D = alpha^2 / (pi (cos_h^2 (alpha^2 - 1) + 1)^2) for the cosine between half vector and normal.
inline float ggx_d(float cos_h, float alpha) {
  constexpr float kPi = 3.14159265358979f;
  const float a2 = alpha * alpha, d = cos_h * cos_h * (a2 - 1.0f) + 1.0f;
  return a2 / (kPi * d * d);
}

/// Smith's masking of one direction by the cosine between it and the normal.
inline float ggx_g1(float cosine, float alpha) {
  const float a2 = alpha * alpha;
  return 2.0f * cosine / (cosine + std::sqrt(a2 + (1.0f - a2) * cosine * cosine));
}

/// A half vector drawn as often as it is seen from `out`; u uniform in [0,1)^2. Heitz 2018, "Sampling the GGX
/// distribution of visible normals", https://jcgt.org/published/0007/04/01/.
Vec3f ggx_visible_normal(const Vec3f& out, float alpha, const Vec2f& u);

/// Of the light that comes evenly from everywhere, what a single-bounce lobe returns towards the cosine: the
/// fraction a f0 + b f90, with Schlick's Fresnel term f0 + (f90 - f0)(1 - v.h)^5.
struct GgxAlbedo {
  float a = 0, b = 0;
};

/// By a sum over n_side x n_side visible normals; cosine and alpha above 0.
GgxAlbedo ggx_albedo(float cosine, float alpha, int n_side);

}  // namespace t3d
