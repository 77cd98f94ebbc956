#pragma once

#include <cstddef>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// Whether this build has meshoptimizer, which decimate() needs.
bool can_decimate();

/// Collapses edges with the least quadric error (Garland and Heckbert 1997,
/// https://doi.org/10.1145/258734.258849; meshoptimizer's implementation) until `n_faces` are left or the
/// surface would move by more than `max_error` of the mesh's longest side. Vertices stay where they are, with
/// their attributes; of several materials each keeps its faces' borders to the others. Without meshoptimizer
/// the mesh stays as it is.
void decimate(io::Mesh& mesh, size_t n_faces, float max_error);

}  // namespace t3d::export_
