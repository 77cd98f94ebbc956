#pragma once

#include <cstddef>
#include <functional>

#include "t3d/export/mesh_parts.h"
#include "t3d/io/mesh.h"
#include "t3d/math/vec.h"

namespace t3d::export_ {

/// Samples of a field at origin + (i, j, k) * spacing, with 0 <= i < nx and so on.
struct SampleGrid {
  int nx = 0, ny = 0, nz = 0;  // 2 to 4096 each
  Vec3f origin = Vec3f::Constant(-0.5f);
  Vec3f spacing = Vec3f::Ones();

  /// n samples a side over the box, the first and last on its faces.
  static SampleGrid over_box(const Box3f& box, int n);
};

struct MarchingCubesOptions {
  float threshold = 0.0f;  // inside: value > threshold
  /// The outermost samples count as outside, so that a surface that leaves the grid is closed at its border.
  bool close_border = true;
  /// Fills in the vertices' colours (sRGB, [0,1]) in batches; empty: none.
  std::function<void(size_t n, const Vec3f* positions, const Vec3f* normals, Vec3f* colours)> colour;
};

/// Marching cubes, Lorensen and Cline 1987, https://doi.org/10.1145/37401.37422, with a generated table
/// (marching_cubes_table.h) in which neighbouring cubes always agree on ambiguous faces: with close_border
/// the mesh is closed, every edge has exactly two faces, turned the same way. Vertices are shared; normals
/// are the field's downhill gradient by central differences.
///
/// `slice(k, values)` fills values[j * nx + i] for plane k; planes are asked for once each, in order, so that
/// the field never lies in memory as a whole: 4 planes of values and 5 of vertex numbers are held beside the
/// mesh. Values that are not finite count as outside.
io::Mesh marching_cubes(const SampleGrid& grid, const std::function<void(int k, float* values)>& slice,
                        const MarchingCubesOptions& options);

}  // namespace t3d::export_
