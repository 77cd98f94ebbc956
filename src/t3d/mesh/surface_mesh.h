#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::mesh {

/// A triangle mesh on the device; vertices may carry a graph.
struct SurfaceMesh {
  at::Tensor vertices;       ///< [V,3] float or double, scene units
  at::Tensor faces;          ///< [F,3] int64, counter-clockwise seen from outside
  at::Tensor uv = {};        ///< [U,2], or undefined; v grows upwards
  at::Tensor uv_faces = {};  ///< [F,3] int64 into uv; undefined where uv is
};

/// The corners of all faces: [F,3,3], the second dimension counting a face's corners.
at::Tensor face_corners(const SurfaceMesh& mesh);

/// [F,3] (b - a) x (c - a): outwards, as long as twice the face's area; zero for a face without area.
at::Tensor face_normals(const SurfaceMesh& mesh);

/// [V,3] unit: the sum of the face_normals around a vertex made unit, so that large faces count more.
/// (0,0,1), without a gradient, where the sum's squared length is at most 1e-20: a vertex that no face uses,
/// or whose faces cancel.
at::Tensor vertex_normals(const SurfaceMesh& mesh);

/// [V,3] unit, at right angles to `normals` [V,3]: where u grows. With a face's edges e1, e2 and their
/// texture coordinates (u1,v1), (u2,v2),
///
///   t = (e1 v2 - e2 v1) / (u1 v2 - v1 u2)
///
/// with the denominator kept 1e-6 away from 0; the mean over the faces around a vertex, made unit, less its
/// part along the normal, made unit again. Zero where that leaves nothing, as at a vertex that no face uses.
/// No gradient goes to the texture coordinates. `uv` must be defined.
at::Tensor vertex_tangents(const SurfaceMesh& mesh, const at::Tensor& normals);
/// The same with the mesh's own vertex_normals.
at::Tensor vertex_tangents(const SurfaceMesh& mesh);

/// [E,2] int64: the edges of faces [F,3] without direction, each once, smaller index first, sorted. A face
/// that has a vertex twice gives an edge from that vertex to itself.
at::Tensor unique_edges(const at::Tensor& faces);

/// [] the mean over the edges of 1 - n_a . n_b, with the vertices' normals: 0 for a plane. 0 without edges.
at::Tensor normal_consistency(const SurfaceMesh& mesh);

/// [] the mean over the vertices of |sum over the neighbours j of (v_i - v_j)|, the uniform graph Laplacian,
/// whose structure carries no gradient. 0 without vertices.
at::Tensor laplacian_smoothness(const SurfaceMesh& mesh);

/// The mesh without its small parts. A part is what hangs together by edges that exactly two faces share,
/// after vertices at one place are joined: parts that touch in one vertex are two.
///
///   threshold  at least 1: the faces of the smallest part that stays; below 1: that fraction of the largest
///              part's faces, rounded down
///
/// Vertices at one place come out joined, but for one copy for each part that touches there; those that no
/// face uses are dropped, and the rest keeps its order.
/// A mesh without faces, and one whose vertices require gradients, comes back as it is. On the CPU, about
/// 0.1 s for 100,000 faces.
SurfaceMesh without_outliers(const SurfaceMesh& mesh, double threshold);

}  // namespace t3d::mesh
