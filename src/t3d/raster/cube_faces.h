#pragma once

#include <cstdint>

#include "t3d/core/rng.h"  // T3D_HOST_DEVICE

/// How the faces of a cube map lie: cube_map.h says which direction a place on a face has.
namespace t3d::raster {

/// A direction d has on its face the place x = s_sign d[s_axis] / m, y = t_sign d[t_axis] / m, each in
/// [-1,1], with m = m_sign d[m_axis] > 0.
struct CubeFace {
  int s_axis, t_axis, m_axis;
  int s_sign, t_sign, m_sign;
};

T3D_HOST_DEVICE inline CubeFace cube_face(int face) {
  return {face < 2 ? 2 : 0,   face / 2 == 1 ? 2 : 1, face / 2, face == 0 || face == 5 ? -1 : 1,
          face == 2 ? 1 : -1, face % 2 == 0 ? 1 : -1};
}

/// The face that direction d meets: that of its longest component, of the first of several that are as long.
template <class T>
T3D_HOST_DEVICE int cube_face_of(const T* d) {
  const T x = d[0] < 0 ? -d[0] : d[0], y = d[1] < 0 ? -d[1] : d[1], z = d[2] < 0 ? -d[2] : d[2];
  const int axis = z > x && z > y ? 2 : (y > x ? 1 : 0);
  return 2 * axis + (d[axis] < 0 ? 1 : 0);
}

/// Index of a texel in [6,n,n]. One step beyond an edge (-1 or n) it is the nearest texel of the face on the
/// other side; beyond a corner, where three faces meet and no fourth texel is, -1.
T3D_HOST_DEVICE inline int64_t cube_texel(int face, int row, int column, int n) {
  const bool is_beyond_column = column < 0 || column >= n, is_beyond_row = row < 0 || row >= n;
  if (!is_beyond_column && !is_beyond_row) return (int64_t{face} * n + row) * n + column;
  if (is_beyond_column && is_beyond_row) return -1;
  // The texel's direction, in units of half a texel: whole numbers, so that nothing is rounded.
  const CubeFace from = cube_face(face);
  int64_t d[3];
  d[from.s_axis] = from.s_sign * (2 * int64_t{column} + 1 - n);
  d[from.t_axis] = from.t_sign * (2 * int64_t{row} + 1 - n);
  d[from.m_axis] = int64_t{from.m_sign} * n;
  const int to_face = cube_face_of(d);
  const CubeFace to = cube_face(to_face);
  const int64_t m = to.m_sign * d[to.m_axis];
  const int64_t to_column = n * (to.s_sign * d[to.s_axis] + m) / (2 * m);
  const int64_t to_row = n * (to.t_sign * d[to.t_axis] + m) / (2 * m);
  return (int64_t{to_face} * n + to_row) * n + to_column;
}

}  // namespace t3d::raster
