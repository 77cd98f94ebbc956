#pragma once

#include "t3d/math/vec.h"

namespace t3d::trace {

/// Reflection at one point, in a frame whose z axis is the shading normal: a Lambertian base under a GGX coat
/// (F0 0.04 unless `specular` says otherwise), or a GGX metal. Walter et al. 2007, "Microfacet models for
/// refraction through rough surfaces"; visible normals are sampled as in Heitz 2018, "Sampling the GGX
/// distribution of visible normals". The base is scaled by what the coat leaves (Kulla and Conty 2017,
/// "Revisiting physically based shading") and the lobe by what single bounces lose (Turquin 2019, "Practical
/// multiple scattering compensation for microfacet models"), so that white surfaces neither gain nor lose
/// light.
struct Bsdf {
  Vec3f base;  // linear, [0,1]
  float metallic, roughness;

  Bsdf(const Vec3f& base, float metallic, float roughness, const Vec3f& specular = Vec3f::Constant(0.04f));

  /// Reflectance times nothing else (no cosine), for unit directions with z > 0.
  Vec3f evaluate(const Vec3f& out, const Vec3f& in) const;
  /// Density per solid angle with which sample() draws `in`.
  float pdf(const Vec3f& out, const Vec3f& in) const;

  struct Sample {
    Vec3f in;
    Vec3f weight;  // evaluate * cosine / pdf; zero when the direction falls below the surface
  };
  Sample sample(const Vec3f& out, float choice, const Vec2f& u) const;

 private:
  Vec3f f0_;
  float f90_, coat_f0_, coat_f90_;  // reflectance along the surface, and the coat's both
  float alpha_, specular_chance_, base_scale_;
};

}  // namespace t3d::trace
