#pragma once

#include <cstdint>

#include "t3d/io/mesh.h"

namespace t3d::trace {

/// What a ray met.
struct Hit {
  float t;
  Vec3f point, geometric_normal, shading_normal;  // both normals face the ray's origin
  Vec3f base_colour, emission, specular;          // linear
  float metallic, roughness;
  float occlusion;  // factor of the light from all around, [0,1]
  bool is_unlit;    // shows its base colour, whatever the light
};

/// A point of a mesh: corner 0 counts 1 - u - v, corner 1 u, corner 2 v.
struct SurfacePoint {
  uint32_t face;
  float u, v;
};

/// Whether a material can let rays through anywhere on the mesh.
bool may_let_through(const io::Mesh& mesh, const io::Material& material);

/// The fraction of rays that the surface stops there, by its material's alpha mode: 0 or 1 but for Blend.
float stopped_fraction(const io::Mesh& mesh, const SurfacePoint& at);

/// Everything of `hit` but its t, for a ray along `direction`.
void shade(const io::Mesh& mesh, const SurfacePoint& at, const Vec3f& direction, Hit& hit);

}  // namespace t3d::trace
