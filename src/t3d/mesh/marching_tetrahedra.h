#pragma once

#include "t3d/mesh/surface_mesh.h"
#include "t3d/mesh/tet_lattice.h"

namespace t3d::mesh {

/// The zero of a function that is linear in each tetrahedron: Shen et al. 2021, "Deep Marching Tetrahedra",
/// arXiv:2111.04276, section 3.1.2. An edge whose ends a < b have values of different signs gets a vertex
///
///   p = (p_b s_a - p_a s_b) / (s_a - s_b),   p_v = lattice.vertices[v] + tanh(deformation[v]) / resolution,
///
/// and a tetrahedron one or two triangles between its vertices.
///
///   level        [N] or [N,1] float or double: negative inside; 0 counts as inside
///   deformation  [N,3], or undefined: the lattice stands still
///   returns      vertices in the lattice's units, sorted by their edges; faces first of the tetrahedra with
///   one
///                triangle, then of those with two, in the lattice's order. Both empty where no sign changes.
///
/// Differentiable in level and deformation, any number of times; the faces have no gradient. On the lattice's
/// device by tensor operations: 0.1 s for 128 (1.5 million tetrahedra) on one CPU core.
SurfaceMesh marching_tetrahedra(const TetLattice& lattice, const at::Tensor& level,
                                const at::Tensor& deformation = {});

}  // namespace t3d::mesh
