#pragma once

#include <cstddef>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// Removes closed parts that lie inside of other closed parts, whichever way they are turned. Vertices must
/// have places of their own. Returns the number of parts removed. Two closed parts that cut through each
/// other both stay.
size_t drop_inner_shells(io::Mesh& mesh);

}  // namespace t3d::export_
