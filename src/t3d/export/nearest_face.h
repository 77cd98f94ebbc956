#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// A point of a mesh's surface: corner 0 counts 1 - u - v, corner 1 u, corner 2 v.
struct NearestPoint {
  uint32_t face = 0;
  float u = 0, v = 0;
};

/// Finds the nearest point of a mesh among the faces that look the same way; of all faces where none does.
/// A tree of boxes: a second for a million faces to make, a few microseconds for a query, from any thread.
class NearestFace {
 public:
  /// At least one face. Keeps a reference to the mesh.
  explicit NearestFace(const io::Mesh& mesh);

  /// `normal`: of unit length.
  NearestPoint operator()(const Vec3f& point, const Vec3f& normal) const;

 private:
  struct Node {
    Vec3f low, high;
    uint32_t right = 0;  ///< the second child; the first follows its parent. 0: a leaf
    uint32_t first = 0, end = 0;
  };
  uint32_t build(uint32_t first, uint32_t end);
  bool search(const Vec3f& point, const Vec3f* normal, NearestPoint& best) const;

  const io::Mesh& mesh_;
  std::vector<uint32_t> faces_;
  std::vector<Vec3f> middles_;
  std::vector<Node> nodes_;
};

}  // namespace t3d::export_
