#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/field/component.h"

namespace t3d::field {

/// What a geometry says about N points.
struct GeometryOutput {
  at::Tensor density;         ///< [N,1], not negative; undefined for signed distances
  at::Tensor features;        ///< [N,F], raw: the material's activation is still to come
  at::Tensor normal;          ///< [N,3] unit, outwards; undefined unless asked for
  at::Tensor shading_normal;  ///< [N,3]
  at::Tensor sdf;             ///< [N,1], negative inside; of signed distances only
  at::Tensor sdf_grad;        ///< [N,3] its slope, not unit; with the normals
};

/// A shape that learns, inside the box [-radius, radius]^3: threestudio's system.geometry.
class Geometry : public Component {
 public:
  virtual float radius() const = 0;
  virtual int n_features() const = 0;
  /// points [N,3] in the scene's units. Normals follow the config's normal_type; asking for them where it is
  /// null is a UserError.
  virtual GeometryOutput operator()(const at::Tensor& points, bool with_normals) const = 0;
  /// Whether the shape is a level of a signed distance; else it is a density.
  virtual bool is_signed_distance() const { return false; }
  /// [N,1]. A density's only.
  virtual at::Tensor density(const at::Tensor& points) const;
  /// [N,1], negative inside. A signed distance's only.
  virtual at::Tensor signed_distance(const at::Tensor& points) const;
  /// The value of signed_distance that is the surface.
  virtual float surface_level() const { return 0; }
  /// [N,F] without the rest; undefined when there are no features.
  virtual at::Tensor features(const at::Tensor& points) const = 0;
  /// Called once, before training starts afresh: takes the parameters to the shape that the configuration
  /// wants to begin with, if it names one (shape_init). `has_weights`: the parameters come from a checkpoint,
  /// so that only force_shape_init counts.
  virtual void initialize_shape(bool has_weights);
  /// Takes the shape over from the geometry of an earlier run, and with `with_features` its features and
  /// normals where they have the same channels. Throws UserError where the two kinds do not go together.
  virtual void start_as(const Geometry& previous, bool with_features);
};

/// Copies the tensors of `from` whose names begin with one of `parts` to those of `to`. Throws UserError
/// that names the first that is missing or of another shape.
void copy_parts(const Geometry& from, const Geometry& to, const std::vector<std::string>& parts);

/// start_as of geometries of one kind: UserError where the boxes differ, then the parts of the shape, and
/// with_features those of `features` that both have in one shape.
void start_as_same_kind(const Geometry& from, const Geometry& to, const std::vector<std::string>& shape,
                        const std::vector<std::string>& features, bool with_features);

/// The table of geometries by `system.geometry_type`.
using GeometryRegistry = Registry<Geometry, const BuildContext&>;
const GeometryRegistry& geometries();

/// How normals are found from a density.
enum class NormalType { None, FiniteDifference, FiniteDifferenceLaplacian, Analytic, Pred };

/// The slope [N,3] of a value by the three ways that need the value alone (not Pred); `value` maps [N,3] to
/// [N,1], offset points are clamped to the box. The analytic slope carries a graph where gradients are on.
at::Tensor field_slope(NormalType type, const at::Tensor& points, const at::Tensor& value_at_points,
                       const std::function<at::Tensor(const at::Tensor&)>& value, float eps, float radius);

/// The same for a density: [N,3] unit vectors towards lower density.
at::Tensor density_normals(NormalType type, const at::Tensor& points, const at::Tensor& density_at_points,
                           const std::function<at::Tensor(const at::Tensor&)>& density, float eps,
                           float radius);

/// Rows of length 1; a row of zeros stays.
at::Tensor unit_rows(const at::Tensor& rows);

/// The corners [2,3] of [-radius, radius]^3.
at::Tensor cube(float radius, c10::Device device);

}  // namespace t3d::field
