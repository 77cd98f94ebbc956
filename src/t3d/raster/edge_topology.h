#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::raster {

/// Which vertex lies on the other side of each edge, so that antialias() finds silhouettes. Made once for a
/// mesh whose triangles do not change.
struct EdgeTopology {
  /// [F,3] int32: for the edge opposite to a triangle's vertex k, the third vertex of the triangle beyond it.
  /// -1 where not exactly two triangles share the edge: such an edge counts as a silhouette from everywhere.
  /// Triangles with equal vertices have no neighbours and are nobody's.
  at::Tensor opposite;

  /// tri [F,3] int32. On the CPU in time proportional to F; the result is on tri's device.
  static EdgeTopology of(const at::Tensor& tri);
};

}  // namespace t3d::raster
