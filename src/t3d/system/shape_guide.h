#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "t3d/field/sdf_shape.h"

namespace t3d::system {

/// Keeps a density to a rough mesh: matter inside, none outside, and little said near the surface, where
/// detail is left to the guidance. Metzer et al. 2022, Latent-NeRF, arXiv:2211.07600, section 3.3.
class ShapeGuide {
 public:
  /// Reads a mesh file, y up, moves the mean of its vertices to the origin and scales the farthest one to a
  /// distance of 0.7. Throws as io::read_mesh does.
  explicit ShapeGuide(const std::string& path);

  /// Sum over samples of (1 - exp(-d^2 / (2 0.3^2))) times the cross entropy between their opacity over a
  /// length of 0.2 and being inside. Samples without length, which stand in where rays have none, do not
  /// count.
  ///
  ///   density, t_intervals  [N,1];  points [N,3];  returns a scalar, differentiable in density
  at::Tensor loss(const at::Tensor& density, const at::Tensor& points, const at::Tensor& t_intervals) const;

 private:
  field::ShapeFunction distance_;
};

}  // namespace t3d::system
