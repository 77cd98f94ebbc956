#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/field/capabilities.h"
#include "t3d/field/component.h"
#include "t3d/ops/unit_rows.h"

namespace t3d::field {

/// A shape that learns, inside the box [-radius, radius]^3: threestudio's system.geometry. What can be done
/// with it is what it says it can do: a caller takes the capability it needs (need_density, need_distance,
/// need_surface), and does not ask for the kind.
class Geometry : public Component {
 public:
  virtual float radius() const = 0;
  /// Each is null where the geometry cannot; of the geometry's own lifetime.
  virtual const DensityField* density() const { return nullptr; }
  virtual const DistanceField* distance() const { return nullptr; }
  virtual const SurfaceField* surface() const { return nullptr; }
  virtual const AppearanceField* appearance() const { return nullptr; }

  /// Called once, before training starts afresh: takes the parameters to the shape that the configuration
  /// wants to begin with, if it names one (shape_init). `has_weights`: the parameters come from a checkpoint,
  /// so that only force_shape_init counts.
  virtual void initialize_shape(bool has_weights);
  /// Throws what initialize_shape would throw, and learns nothing.
  virtual void check_shape(bool has_weights) const;
  /// Takes the shape over from the geometry of an earlier run, and with `with_features` its features and
  /// normals where they have the same channels. Throws UserError where the two kinds do not go together.
  virtual void start_as(const Geometry& previous, bool with_features);

  /// What the type T can do, in the words of messages: for the registry's names_with().
  template <class T>
  static std::vector<std::string> abilities_of() {
    std::vector<std::string> all;
    if (std::is_base_of_v<DensityField, T>) all.push_back(kDensity);
    if (std::is_base_of_v<DistanceField, T>) all.push_back(kDistance);
    if (std::is_base_of_v<SurfaceField, T>) all.push_back(kSurface);
    return all;
  }
  static constexpr const char *kDensity = "density", *kDistance = "signed distance", *kSurface = "surface";
};

/// The capability. Where the geometry lacks it, UserError that names the types which have it: "`who` needs a
/// density, which the geometry does not have. Use geometry_type=A or B`, or_else`."
///
///   who      "nerf-volume-renderer"
///   or_else  "renderer_type=neus-volume-renderer", another way out, or empty
const DensityField& need_density(const Geometry& geometry, const std::string& who,
                                 const std::string& or_else = "");
const DistanceField& need_distance(const Geometry& geometry, const std::string& who,
                                   const std::string& or_else = "");
const SurfaceField& need_surface(const Geometry& geometry, const std::string& who,
                                 const std::string& or_else = "");

/// Copies the tensors of `from` whose names begin with one of `parts` to those of `to`. Throws UserError
/// that names the first that is missing or of another shape.
void copy_parts(const Geometry& from, const Geometry& to, const std::vector<std::string>& parts);

/// start_as of geometries of one kind: UserError where the boxes differ, then the parts of the shape, and
/// with_features those of `features` that both have in one shape.
void start_as_same_kind(const Geometry& from, const Geometry& to, const std::vector<std::string>& shape,
                        const std::vector<std::string>& features, bool with_features);

/// The table of geometries by `system.geometry_type`.
using GeometryRegistry = Registry<Geometry, const BuildContext&>;
GeometryRegistry& geometries();

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

using ops::unit_rows;

/// The corners [2,3] of [-radius, radius]^3.
at::Tensor cube(float radius, c10::Device device);

}  // namespace t3d::field
