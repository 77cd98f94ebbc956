#pragma once

#include <memory>
#include <optional>

#include "t3d/core/registry.h"
#include "t3d/field/component.h"

namespace t3d::field {

/// What a geometry says about N points.
struct GeometryOutput {
  at::Tensor density;         ///< [N,1], not negative; undefined for explicit geometries
  at::Tensor features;        ///< [N,F], raw: the material's activation is still to come
  at::Tensor normal;          ///< [N,3] unit, outwards; undefined unless asked for
  at::Tensor shading_normal;  ///< [N,3]
};

/// A shape that learns, inside the box [-radius, radius]^3: threestudio's system.geometry.
class Geometry : public Component {
 public:
  virtual float radius() const = 0;
  virtual int n_features() const = 0;
  /// points [N,3] in the scene's units. Normals follow the config's normal_type; asking for them where it is
  /// null is a UserError.
  virtual GeometryOutput operator()(const at::Tensor& points, bool with_normals) const = 0;
  /// [N,1]
  virtual at::Tensor density(const at::Tensor& points) const = 0;
  /// [N,F] without the rest; undefined when there are no features.
  virtual at::Tensor features(const at::Tensor& points) const = 0;
};

/// The table of geometries by `system.geometry_type`.
using GeometryRegistry = Registry<Geometry, const BuildContext&>;
const GeometryRegistry& geometries();

/// How normals are found from a density.
enum class NormalType { None, FiniteDifference, FiniteDifferenceLaplacian, Analytic, Pred };

/// The four ways that need the density alone (not Pred); `density` maps [N,3] to [N,1], offset points are
/// clamped to the box. Returns [N,3] unit vectors towards lower density.
at::Tensor density_normals(NormalType type, const at::Tensor& points, const at::Tensor& density_at_points,
                           const std::function<at::Tensor(const at::Tensor&)>& density, float eps,
                           float radius);

/// Throws UserError where a part's `weights` key is set: starting from a checkpoint's part is not built yet.
void refuse_weights(const std::optional<std::string>& weights);

}  // namespace t3d::field
