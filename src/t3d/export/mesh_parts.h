#pragma once

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// Keeps the connected parts that have at least `least` faces, or up to 1 at least that fraction of the
/// largest part's. Returns the number of parts removed. Vertices that no face uses are removed too.
int remove_small_parts(io::Mesh& mesh, double least);

/// Removes closed parts that are turned inside out: the walls of hollows inside the matter, which nobody
/// sees. Fields that were trained from pictures are hollow more often than not. Returns the number of parts
/// removed.
int remove_hollows(io::Mesh& mesh);

/// Of a closed mesh; negative for one that is turned inside out.
double volume(const io::Mesh& mesh);

/// Smooths positions without shrinking, Taubin 1995, https://doi.org/10.1145/218380.218473: each pass is a
/// step towards the mean of the neighbours and a slightly longer one away from it.
void smooth(io::Mesh& mesh, int n_passes);

/// Normals of vertices: the sum of their faces' normals, weighted by area.
void make_vertex_normals(io::Mesh& mesh);

}  // namespace t3d::export_
