#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "t3d/export/uv_charts.h"

namespace t3d::export_ {

/// Which faces lie where in the planes of charts: a chart takes a face only where it covers nothing of the
/// chart's other faces. Exact: the faces' corners are the floats that become texture coordinates, and of two
/// faces with a common border none covers the other.
class ChartPlanes {
 public:
  explicit ChartPlanes(const io::Mesh& mesh);

  /// Takes the face into the chart of this number; false, and nothing taken, where it would lie on another.
  /// Faces without area in the chart's plane are always taken.
  bool take(uint32_t number, const Chart& chart, uint32_t face);

  /// What is taken from here on can be given back at once.
  void begin() { undo_.clear(); }
  void undo();

 private:
  using Triangle = std::array<Vec2f, 3>;
  struct Slot {
    uint64_t key = 0;
    uint32_t head = 0;  ///< of entries_, plus 1; 0: the slot is free
  };
  struct Entry {
    uint32_t triangle, next;
  };
  Slot& slot(uint64_t key);
  void grow();

  const io::Mesh& mesh_;
  float width_ = 1;  ///< of a bucket: the faces' usual width
  std::vector<Triangle> triangles_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
  size_t n_used_ = 0;
  std::vector<std::pair<uint64_t, uint32_t>> undo_;  ///< keys with their heads before
  std::vector<uint64_t> cells_;
};

}  // namespace t3d::export_
