#pragma once

#include <ATen/core/Tensor.h>

#include <iterator>

#include "t3d/mesh/surface_mesh.h"

namespace t3d::field {

/// What a field says about N points.
struct GeometryOutput {
  at::Tensor density;         ///< [N,1], not negative; of a density
  at::Tensor features;        ///< [N,F], raw: the material's activation is still to come
  at::Tensor normal;          ///< [N,3] unit, outwards; undefined unless asked for
  at::Tensor shading_normal;  ///< [N,3]
  at::Tensor sdf;             ///< [N,1], negative inside; of a signed distance
  at::Tensor sdf_grad;        ///< [N,3] its slope, not unit; with the normals
};

struct GeometryField {
  const char* name;
  at::Tensor GeometryOutput::*member;
};
/// All of them: what puts outputs together or takes them apart walks this list.
inline constexpr GeometryField kGeometryFields[] = {
    {"density", &GeometryOutput::density}, {"features", &GeometryOutput::features},
    {"normal", &GeometryOutput::normal},   {"shading_normal", &GeometryOutput::shading_normal},
    {"sdf", &GeometryOutput::sdf},         {"sdf_grad", &GeometryOutput::sdf_grad},
};
static_assert(sizeof(GeometryOutput) == std::size(kGeometryFields) * sizeof(at::Tensor),
              "a tensor of GeometryOutput is missing in kGeometryFields");

/// What a geometry may be able to do. Points are [N,3] in the scene's units, results carry gradients to the
/// geometry's parameters.
///
/// A function of points: what can be rendered by samples along rays.
class PointField {
 public:
  virtual ~PointField() = default;
  /// Value, features and, `with_normals`, normals in one pass over what they share. Normals follow the
  /// config's normal_type; asking for them where it is null is a UserError.
  virtual GeometryOutput samples_at(const at::Tensor& points, bool with_normals) const = 0;
};

/// Matter of some density everywhere.
class DensityField : public PointField {
 public:
  /// [N,1], not negative.
  virtual at::Tensor density_at(const at::Tensor& points) const = 0;
};

/// A surface given by the distance to it.
class DistanceField : public PointField {
 public:
  /// [N,1], negative inside.
  virtual at::Tensor distance_at(const at::Tensor& points) const = 0;
  /// The distance that is the surface.
  virtual float surface_level() const { return 0; }
};

/// A surface made of triangles.
class SurfaceField {
 public:
  virtual ~SurfaceField() = default;
  /// The mesh at the present parameters, in the scene's units; its vertices carry a graph to them where
  /// gradients are on and the shape learns. Throws UserError where there is no surface, saying what to
  /// change.
  virtual mesh::SurfaceMesh surface_mesh() const = 0;
};

/// What a material turns into colours.
class AppearanceField {
 public:
  virtual ~AppearanceField() = default;
  /// [N,F], raw; undefined where the config's n_feature_dims is 0.
  virtual at::Tensor features_at(const at::Tensor& points) const = 0;
};

}  // namespace t3d::field
