#pragma once

#include <array>
#include <cstdint>

namespace t3d::mesh {

/// Triangles of a tetrahedron by which of its corners are outside: case = sum of 2^i over the corners i with
/// a positive value. Entries are edges in the order 01, 02, 03, 12, 13, 23; -1 where there is no triangle.
/// Of a positively oriented tetrahedron the triangles are counter-clockwise seen from its positive corners.
/// threestudio's table: which way the quadrilaterals of the six even cases are cut is part of it.
inline constexpr std::array<std::array<int8_t, 6>, 16> kTetTriangles = {{
    {-1, -1, -1, -1, -1, -1},
    {1, 0, 2, -1, -1, -1},
    {4, 0, 3, -1, -1, -1},
    {1, 4, 2, 1, 3, 4},
    {3, 1, 5, -1, -1, -1},
    {2, 3, 0, 2, 5, 3},
    {1, 4, 0, 1, 5, 4},
    {4, 2, 5, -1, -1, -1},
    {4, 5, 2, -1, -1, -1},
    {4, 1, 0, 4, 5, 1},
    {3, 2, 0, 3, 5, 2},
    {1, 3, 5, -1, -1, -1},
    {4, 1, 2, 4, 3, 1},
    {3, 0, 4, -1, -1, -1},
    {2, 0, 1, -1, -1, -1},
    {-1, -1, -1, -1, -1, -1},
}};

}  // namespace t3d::mesh
