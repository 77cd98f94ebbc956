#pragma once

#include <array>
#include <cstdint>

namespace t3d::mesh {

/// Corners of a tetrahedron in quarters of a cell, from the cell's centre.
using CellTet = std::array<std::array<int8_t, 3>, 4>;

/// The tetrahedra of one cell of the A15 crystal (beta-tungsten), the Delaunay tetrahedra of the points
///
///   (0,0,2) (2,2,0) (0,1,0) (0,-1,0) (2,0,1) (2,0,-1) (1,2,2) (-1,2,2)   modulo 4,
///
/// which Doran et al. 2013, "Isosurface Stuffing Improved: Acute Lattices and Feature Matching", fill space
/// with: all dihedral angles are acute. Positively oriented. The order of the tetrahedra and of their corners
/// is that of the grids which threestudio ships, on which the meaning of a checkpoint's numbers depends.
inline constexpr std::array<CellTet, 46> kCellTets = {{
    CellTet{{{-3, 2, -2}, {-4, 1, 0}, {-2, 0, -1}, {-2, 2, 0}}},
    CellTet{{{-4, 1, 0}, {-2, 0, 1}, {-2, 0, -1}, {-2, 2, 0}}},
    CellTet{{{-2, 2, 0}, {-1, 2, -2}, {-2, 0, -1}, {-3, 2, -2}}},
    CellTet{{{-2, 0, 1}, {0, -1, 0}, {-1, -2, 2}, {-2, -2, 0}}},
    CellTet{{{-1, -2, 2}, {-2, 0, 1}, {-2, 0, 3}, {0, 0, 2}}},
    CellTet{{{0, -1, 0}, {-2, 0, 1}, {-1, -2, 2}, {0, 0, 2}}},
    CellTet{{{1, -2, 2}, {0, -1, 0}, {-1, -2, 2}, {0, 0, 2}}},
    CellTet{{{0, 1, 0}, {-2, 0, 1}, {0, -1, 0}, {0, 0, 2}}},
    CellTet{{{2, 0, 1}, {1, -2, 2}, {3, -2, 2}, {2, 0, 3}}},
    CellTet{{{1, -2, 2}, {2, 0, 1}, {0, -1, 0}, {0, 0, 2}}},
    CellTet{{{2, 0, 1}, {1, -2, 2}, {0, -1, 0}, {2, -2, 0}}},
    CellTet{{{2, 0, 1}, {0, 1, 0}, {0, -1, 0}, {0, 0, 2}}},
    CellTet{{{1, -2, 2}, {2, 0, 1}, {3, -2, 2}, {2, -2, 0}}},
    CellTet{{{1, -2, 2}, {2, 0, 3}, {2, 0, 1}, {0, 0, 2}}},
    CellTet{{{-1, -2, -2}, {1, -2, -2}, {0, 0, -2}, {0, -1, 0}}},
    CellTet{{{-1, -2, -2}, {0, -1, 0}, {-2, 0, -1}, {-2, -2, 0}}},
    CellTet{{{-2, 0, -1}, {0, -1, 0}, {-2, 0, 1}, {-2, -2, 0}}},
    CellTet{{{-2, 0, 1}, {0, 1, 0}, {0, -1, 0}, {-2, 0, -1}}},
    CellTet{{{0, 0, -2}, {-2, 0, -1}, {-1, -2, -2}, {0, -1, 0}}},
    CellTet{{{0, 1, 0}, {-2, 0, -1}, {0, 0, -2}, {0, -1, 0}}},
    CellTet{{{0, -1, 0}, {2, 0, -1}, {1, -2, -2}, {0, 0, -2}}},
    CellTet{{{2, 0, -1}, {0, -1, 0}, {1, -2, -2}, {2, -2, 0}}},
    CellTet{{{2, 0, -1}, {0, 1, 0}, {0, 0, -2}, {0, -1, 0}}},
    CellTet{{{0, -1, 0}, {2, 0, 1}, {2, -2, 0}, {2, 0, -1}}},
    CellTet{{{3, -2, -2}, {2, -2, 0}, {2, 0, -1}, {1, -2, -2}}},
    CellTet{{{0, 1, 0}, {2, 0, -1}, {2, 0, 1}, {0, -1, 0}}},
    CellTet{{{0, 3, 0}, {1, 2, 2}, {-1, 2, 2}, {0, 1, 0}}},
    CellTet{{{-1, 2, 2}, {-2, 0, 1}, {0, 0, 2}, {-2, 0, 3}}},
    CellTet{{{0, 1, 0}, {1, 2, 2}, {-1, 2, 2}, {0, 0, 2}}},
    CellTet{{{0, 1, 0}, {-2, 0, 1}, {-1, 2, 2}, {-2, 2, 0}}},
    CellTet{{{-2, 0, 1}, {0, 1, 0}, {-1, 2, 2}, {0, 0, 2}}},
    CellTet{{{-1, 2, 2}, {0, 3, 0}, {0, 1, 0}, {-2, 2, 0}}},
    CellTet{{{1, 2, 2}, {0, 1, 0}, {2, 0, 1}, {0, 0, 2}}},
    CellTet{{{1, 2, 2}, {2, 0, 3}, {0, 0, 2}, {2, 0, 1}}},
    CellTet{{{2, 0, 3}, {1, 2, 2}, {3, 2, 2}, {2, 0, 1}}},
    CellTet{{{2, 0, 1}, {1, 2, 2}, {3, 2, 2}, {2, 2, 0}}},
    CellTet{{{1, 2, 2}, {0, 3, 0}, {2, 2, 0}, {0, 1, 0}}},
    CellTet{{{0, 1, 0}, {1, 2, 2}, {2, 0, 1}, {2, 2, 0}}},
    CellTet{{{0, 1, 0}, {-2, 0, 1}, {-2, 2, 0}, {-2, 0, -1}}},
    CellTet{{{-1, 2, -2}, {0, 3, 0}, {-2, 2, 0}, {0, 1, 0}}},
    CellTet{{{-2, 0, -1}, {-1, 2, -2}, {0, 1, 0}, {0, 0, -2}}},
    CellTet{{{-1, 2, -2}, {-2, 0, -1}, {0, 1, 0}, {-2, 2, 0}}},
    CellTet{{{-1, 2, -2}, {1, 2, -2}, {0, 3, 0}, {0, 1, 0}}},
    CellTet{{{1, 2, -2}, {-1, 2, -2}, {0, 0, -2}, {0, 1, 0}}},
    CellTet{{{1, 2, -2}, {0, 3, 0}, {0, 1, 0}, {2, 2, 0}}},
    CellTet{{{0, 1, 0}, {2, 0, -1}, {0, 0, -2}, {1, 2, -2}}},
}};

}  // namespace t3d::mesh
