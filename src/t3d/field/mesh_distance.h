#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "t3d/math/vec.h"

namespace t3d::field {

/// Distance to the nearest point of a triangle mesh, negative where the generalized winding number is above
/// 1/2 (Jacobson et al. 2013, https://doi.org/10.1145/2461912.2461916), so that meshes with holes, doubled
/// or crossing walls have an inside, too. Winding numbers of far triangles are taken together as dipoles:
/// Barill et al. 2018, https://doi.org/10.1145/3197517.3201337, first order, off by a few hundredths.
///
/// A tree of boxes serves both; making it takes about 1 s for a million triangles, a query a few
/// microseconds.
class MeshDistance {
 public:
  /// Triangles of zero area may be among them; at least one triangle is needed.
  MeshDistance(const std::vector<Vec3f>& positions, const std::vector<std::array<uint32_t, 3>>& faces);

  float operator()(const Vec3f& point) const;
  /// The same for n points on all threads.
  void operator()(size_t n, const Vec3f* points, float* distances) const;

  float unsigned_distance(const Vec3f& point) const;
  /// 1 inside of a closed mesh whose faces are counter-clockwise from outside, 0 outside.
  float winding_number(const Vec3f& point) const;

 private:
  using Triangle = std::array<Vec3f, 3>;
  struct Node {
    Vec3f low, high;            ///< the box
    Vec3f centre, area_normal;  ///< of the dipole: mean of the triangles by area, sum of their areas' vectors
    float reach = 0;            ///< from centre to the farthest corner
    int32_t right = 0;          ///< the second child; the first follows its parent. 0: a leaf
    int32_t first = 0, end = 0;  ///< triangles
  };
  int32_t build(int32_t first, int32_t end);

  std::vector<Triangle> triangles_;
  std::vector<Node> nodes_;
};

}  // namespace t3d::field
