#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// What is counted of a mesh's shape. Vertices at one place are one; faces with two corners at one place are
/// degenerate and have no edges here.
struct ShapeCheck {
  size_t n_vertices = 0, n_faces = 0;
  size_t n_components = 0;        ///< connected over edges
  size_t n_boundary_edges = 0;    ///< with one face
  size_t n_crowded_edges = 0;     ///< with more than two faces: not a manifold
  size_t n_turned_edges = 0;      ///< whose two faces are turned differently
  size_t n_degenerate_faces = 0;  ///< without area
  bool is_watertight() const { return n_boundary_edges + n_crowded_edges + n_turned_edges == 0; }
};

/// What is counted of a mesh's first set of texture coordinates.
struct UvCheck {
  size_t n_charts = 0;           ///< connected over edges that have the same coordinates on both sides
  size_t n_inverted_charts = 0;  ///< that lie mirrored
  size_t n_inverted_faces = 0;   ///< that are turned against their chart
  size_t n_texels = 0;           ///< whose centres lie in a face, of `size` x `size` over [0,1)^2, repeated
  size_t n_shared_texels = 0;    ///< of these, those that lie in more than one face: overlaps
  double used = 0;               ///< fraction of the texels that lie in a face
  int size = 0;                  ///< the largest texture's, at most 4096; 1024 without one
  /// Texels along a unit of length: quantiles 0.05, 0.5 and 0.95 over the surface.
  std::array<double, 3> density{};
};

struct MeshCheck {
  ShapeCheck shape;
  bool has_uv = false;
  UvCheck uv;
  std::vector<std::array<int, 3>> textures;  ///< width, height, channels that say something
  /// Nothing is wrong: watertight, no face without area, no overlap, nothing inverted.
  bool is_fine() const;
};

ShapeCheck check_shape(const io::Mesh& mesh);
/// The mesh has texture coordinates. `size`: side of the square of texels.
UvCheck check_uv(const io::Mesh& mesh, int size);
MeshCheck check_mesh(const io::Mesh& mesh);

/// A line for each figure, with "wrong" at the end of those that are.
std::string check_table(const MeshCheck& check);

}  // namespace t3d::export_
