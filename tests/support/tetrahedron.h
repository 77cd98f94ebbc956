#pragma once

namespace t3d::testing {

/// The smallest closed mesh, as an OBJ file.
constexpr const char* kTetrahedron =
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n";

}  // namespace t3d::testing
