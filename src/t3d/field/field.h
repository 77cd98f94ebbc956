#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::field {

/// Values of a field at N points.
struct FieldSample {
  at::Tensor density;  ///< [N], not negative
  at::Tensor colour;   ///< [N,3] in [0,1]
  at::Tensor normal;   ///< [N,3] unit, outwards; undefined when the field has none
};

/// A density and a colour for every point: what a volume renderer asks of a scene. Points and directions are
/// [N,3] float in the field's own space; results carry gradients to the field's parameters.
class Field {
 public:
  virtual ~Field() = default;

  /// [N] at points [N,3].
  virtual at::Tensor density(const at::Tensor& points) const = 0;

  /// [N,3] at points seen along unit directions.
  virtual at::Tensor colour(const at::Tensor& points, const at::Tensor& directions) const = 0;

  /// Everything at once. Fields whose density and colour share work override this.
  virtual FieldSample sample(const at::Tensor& points, const at::Tensor& directions) const {
    return {density(points), colour(points, directions), at::Tensor()};
  }
};

}  // namespace t3d::field
