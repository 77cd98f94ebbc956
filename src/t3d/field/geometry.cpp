#include "t3d/field/geometry.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/field/implicit_volume.h"
#include "t3d/field/volume_grid.h"

namespace t3d::field {
namespace {

at::Tensor unit(const at::Tensor& v) {
  return v / v.norm(2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
}

/// Points moved by eps along each axis, [N,3,3], inside the box.
at::Tensor moved(const at::Tensor& points, float eps, float radius) {
  const auto axes = at::eye(3, points.options()) * eps;  // [3,3]
  return (points.unsqueeze(1) + axes).clamp(-radius, radius);
}

}  // namespace

at::Tensor density_normals(NormalType type, const at::Tensor& points, const at::Tensor& density_at_points,
                           const std::function<at::Tensor(const at::Tensor&)>& density, float eps,
                           float radius) {
  const auto at_moved = [&](float by) {
    return density(moved(points, by, radius).reshape({-1, 3})).reshape({-1, 3});  // [N,3]
  };
  switch (type) {
    case NormalType::FiniteDifference:
      return unit(-(at_moved(eps) - density_at_points) / eps);
    case NormalType::FiniteDifferenceLaplacian:
      return unit(-0.5 * (at_moved(eps) - at_moved(-eps)) / eps);
    case NormalType::Analytic: {
      const bool is_training = c10::GradMode::is_enabled();
      const c10::AutoGradMode with_gradients(true);
      const auto at = points.detach().requires_grad_(true);
      const auto value = density(at);
      auto slope = torch::autograd::grad({value}, {at}, {at::ones_like(value)}, /*retain_graph=*/true,
                                         /*create_graph=*/is_training)[0];
      const auto normal = unit(-slope);
      return is_training ? normal : normal.detach();
    }
    case NormalType::Pred:
    case NormalType::None:
      break;
  }
  throw UserError(
      "geometry.normal_type is null, but the material or a loss needs normals. Use finite_difference or "
      "analytic.");
}

void refuse_weights(const std::optional<std::string>& weights) {
  if (weights)
    throw UserError(cat("geometry.weights is ", *weights,
                        ", but starting from a checkpoint's part is not built yet. Leave the key out."));
}

const GeometryRegistry& geometries() {
  using R = GeometryRegistry;
  static const R table(
      "geometry", "shapes that learn (system.geometry_type)",
      {R::entry<ImplicitVolume>("implicit-volume", "a density from an encoding and networks"),
       R::entry<VolumeGrid>("volume-grid", "a density and features in a dense grid")});
  return table;
}

}  // namespace t3d::field
