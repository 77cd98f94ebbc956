#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace t3d::export_ {

/// Corner c of a cube stands at (c & 1, c >> 1 & 1, c >> 2 & 1).
/// Edge e = 4 * axis + n joins two corners along `axis`; kCubeEdges has them, the lower one first.
extern const std::array<std::array<uint8_t, 2>, 12> kCubeEdges;

/// For each of the 256 sets of inside corners (bit c: corner c is inside): triangles as edge numbers, three
/// each, counter-clockwise seen from outside. Where a face of the cube has its inside corners at opposite
/// ends they are kept apart, which depends on that face alone: both cubes beside it draw the same lines. No
/// diagonal inside a polygon lies in a cube's face, unless `n_unavoidable` counts it.
struct MarchingCubesTable {
  std::array<std::vector<uint8_t>, 256> triangles;
  int n_unavoidable = 0;
};
const MarchingCubesTable& marching_cubes_table();

}  // namespace t3d::export_
