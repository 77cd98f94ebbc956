#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::mesh {

/// A cube filled with tetrahedra, and all that marching tetrahedra need and that does not change with the
/// values at the vertices. int32 throughout: 42 MB of it for 128.
struct TetLattice {
  int resolution = 0;    ///< a vertex may be moved by 1/resolution
  at::Tensor vertices;   ///< [N,3] float in [0,1]
  at::Tensor corners;    ///< [4,T] int32: row i has corner i of all tetrahedra
  at::Tensor ends;       ///< [2,E] int32: each edge once, smaller end first, sorted by both
  at::Tensor tet_edges;  ///< [T,6] int32 into the edges: corners 01, 02, 03, 12, 13, 23

  int64_t n_vertices() const { return vertices.size(0); }
  /// The same on another device.
  TetLattice to(c10::Device device) const;
};

/// Finds the edges. vertices [N,3] in [0,1], tets [T,4] of any whole type, of vertices that there are; the
/// caller has checked.
TetLattice lattice_of(const at::Tensor& vertices, const at::Tensor& tets, int resolution);

/// The lattice of a resolution, on the CPU: the A15 tetrahedra (tet_cell.h) of n^3 cells, n = resolution/4
/// rounded up, snapped to the cube as Labelle and Shewchuk 2007, "Isosurface Stuffing", do with a surface:
///
///   - tetrahedra stay that have a vertex strictly inside the cube;
///   - their vertices that lie outside, by a quarter of a cell, move onto the cube's face.
///
/// For a resolution divisible by 4 this is the grid that threestudio ships or has made by Quartet, order
/// included: 8n^3+15n^2-3n+2 vertices, 46n^3+18n^2-34n+12 tetrahedra. Along the cube's edges thin slivers are
/// not filled. About 1 s and 300 MB for 128.
TetLattice make_tet_lattice(int resolution);

}  // namespace t3d::mesh
