#include "t3d/field/geometry.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "t3d/core/sentence.h"
#include "t3d/field/custom_mesh.h"
#include "t3d/field/implicit_sdf.h"
#include "t3d/field/implicit_volume.h"
#include "t3d/field/tetrahedra_sdf_grid.h"
#include "t3d/field/volume_grid.h"

namespace t3d::field {
namespace {

/// Points moved by eps along each axis, [N,3,3], inside the box.
at::Tensor moved(const at::Tensor& points, float eps, float radius) {
  const auto axes = at::eye(3, points.options()) * eps;  // [3,3]
  return (points.unsqueeze(1) + axes).clamp(-radius, radius);
}

[[noreturn]] void throw_without(const char* ability, const std::string& who, const std::string& or_else) {
  std::vector<std::string> ways = geometries().names_with(ability);
  T3D_CHECK(!ways.empty(), "no geometry has a ", ability);
  ways[0] = "geometry_type=" + ways[0];
  if (!or_else.empty()) ways.push_back(or_else);
  throw UserError(
      cat(who, " needs a ", ability, ", which the geometry does not have. Use ", alternatives(ways), "."));
}

}  // namespace

const DensityField& need_density(const Geometry& geometry, const std::string& who,
                                 const std::string& or_else) {
  const DensityField* density = geometry.density();
  if (density == nullptr) throw_without(Geometry::kDensity, who, or_else);
  return *density;
}

const DistanceField& need_distance(const Geometry& geometry, const std::string& who,
                                   const std::string& or_else) {
  const DistanceField* distance = geometry.distance();
  if (distance == nullptr) throw_without(Geometry::kDistance, who, or_else);
  return *distance;
}

const SurfaceField& need_surface(const Geometry& geometry, const std::string& who,
                                 const std::string& or_else) {
  const SurfaceField* surface = geometry.surface();
  if (surface == nullptr) throw_without(Geometry::kSurface, who, or_else);
  return *surface;
}

at::Tensor cube(float radius, c10::Device device) {
  return at::tensor({-radius, -radius, -radius, radius, radius, radius}).reshape({2, 3}).to(device);
}

void Geometry::initialize_shape(bool) {}

void Geometry::check_shape(bool) const {}

at::Tensor field_slope(NormalType type, const at::Tensor& points, const at::Tensor& value_at_points,
                       const std::function<at::Tensor(const at::Tensor&)>& value, float eps, float radius) {
  const auto at_moved = [&](float by) {
    return value(moved(points, by, radius).reshape({-1, 3})).reshape({-1, 3});  // [N,3]
  };
  switch (type) {
    case NormalType::FiniteDifference:
      return (at_moved(eps) - value_at_points) / eps;
    case NormalType::FiniteDifferenceLaplacian:
      return 0.5 * (at_moved(eps) - at_moved(-eps)) / eps;
    case NormalType::Analytic: {
      const bool is_training = c10::GradMode::is_enabled();
      const c10::AutoGradMode with_gradients(true);
      const auto at = points.detach().requires_grad_(true);
      const auto here = value(at);
      const auto slope = torch::autograd::grad({here}, {at}, {at::ones_like(here)}, /*retain_graph=*/true,
                                               /*create_graph=*/is_training)[0];
      return is_training ? slope : slope.detach();
    }
    case NormalType::Pred:
    case NormalType::None:
      break;
  }
  throw UserError(
      "geometry.normal_type is null, but the material, the renderer or a loss needs normals. Use "
      "finite_difference or analytic.");
}

at::Tensor density_normals(NormalType type, const at::Tensor& points, const at::Tensor& density_at_points,
                           const std::function<at::Tensor(const at::Tensor&)>& density, float eps,
                           float radius) {
  return unit_rows(-field_slope(type, points, density_at_points, density, eps, radius));
}

void Geometry::start_as(const Geometry&, bool) {
  throw UserError(
      "system.geometry_convert_from: this geometry cannot start from another one. Name a run with the same "
      "geometry_type, implicit-volume or implicit-sdf.");
}

void copy_parts(const Geometry& from, const Geometry& to, const std::vector<std::string>& parts) {
  const c10::NoGradGuard no_grad;
  const NamedTensors theirs = from.parameters(), ours = to.parameters();
  for (const auto& [name, tensor] : ours) {
    const auto begins = [name = name](const std::string& part) { return name.rfind(part, 0) == 0; };
    if (std::none_of(parts.begin(), parts.end(), begins)) continue;
    const auto found = theirs.find(name);
    if (found == theirs.end() || found->second.sizes() != tensor.sizes())
      throw UserError(cat("system.geometry_convert_from: geometry.", name, " is ", tensor.sizes(),
                          " here and ", found == theirs.end() ? "missing" : cat(found->second.sizes()),
                          " in the earlier run. Give both geometries the same encoding and networks."));
    at::Tensor(tensor).copy_(found->second);
  }
}

void start_as_same_kind(const Geometry& from, const Geometry& to, const std::vector<std::string>& shape,
                        const std::vector<std::string>& features, bool with_features) {
  if (from.radius() != to.radius())
    throw UserError(cat("system.geometry_convert_from: the earlier geometry's radius is ", from.radius(),
                        " and this one's ", to.radius(), ". Set system.geometry.radius=", from.radius(),
                        "."));
  copy_parts(from, to, shape);
  if (!with_features) return;
  const NamedTensors theirs = from.parameters(), ours = to.parameters();
  for (const std::string& part : features) {
    const auto fits = [&](const auto& entry) {
      const auto found = theirs.find(entry.first);
      return entry.first.rfind(part, 0) != 0 ||
             (found != theirs.end() && found->second.sizes() == entry.second.sizes());
    };
    if (std::all_of(ours.begin(), ours.end(), fits)) copy_parts(from, to, {part});
  }
}

GeometryRegistry& geometries() {
  using R = GeometryRegistry;
  static R table(
      "geometry", "shapes that learn (system.geometry_type)",
      {R::entry<ImplicitVolume>("implicit-volume", "a density from an encoding and networks"),
       R::entry<ImplicitSdf>("implicit-sdf", "a signed distance from an encoding and networks"),
       R::entry<VolumeGrid>("volume-grid", "a density and features in a dense grid"),
       R::entry<TetrahedraSdfGrid>("tetrahedra-sdf-grid", "a mesh that learns, in a grid of tetrahedra"),
       R::entry<CustomMesh>("custom-mesh", "a mesh file, whose features learn")});
  return table;
}

}  // namespace t3d::field
