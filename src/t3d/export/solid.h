#pragma once

#include <cstddef>
#include <string>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// What was done to a mesh so that it bounds a body.
struct SolidReport {
  size_t n_inner_shells = 0;   ///< closed parts inside others, left out
  size_t n_holes = 0;          ///< small ones, closed
  size_t n_crowded_edges = 0;  ///< with more than two faces, taken apart
  size_t n_dropped_faces = 0;  ///< without area, or twice there
  size_t n_turned_faces = 0;   ///< against their neighbours, or inwards as a whole part
  bool is_watertight = false;  ///< every edge has two faces, which are turned the same way
  size_t n_open_edges = 0;     ///< with one face, in the end
  size_t n_crowded_left = 0;   ///< with more than two faces, in the end
  bool has_changes() const;
  /// "left out 2 inner shells, closed 1 hole"; empty where nothing was done.
  std::string text() const;
};

/// For printing, and for all who measure volumes: vertices at one place become one (attributes are the first
/// one's; texture coordinates and normals go), faces without area and doubled ones go, edges with four or
/// more faces are taken apart into pairs that bound the same matter, each with a midpoint of its own that is
/// moved by a thousandth of the edge; neighbours are turned alike and parts outwards; holes whose longest
/// diagonal is below a tenth of the mesh's longest side are closed by a fan about their middle, and closed
/// parts inside of other closed parts are left out. What is wrong in other ways stays, and is in the report.
///
/// Cost: a second for a million faces; many parts inside the box of a large one make it slower.
SolidReport make_solid(io::Mesh& mesh);

}  // namespace t3d::export_
