#include "t3d/raster/cube_map.h"

#include <ATen/ATen.h>

#include "t3d/raster/cube_faces.h"

namespace t3d::raster {

at::Tensor cube_directions(int64_t n) {
  const at::Tensor out = at::empty({6, n, n, 3}, at::kDouble);
  double* d = out.data_ptr<double>();
  for (int f = 0; f < 6; ++f) {
    const CubeFace face = cube_face(f);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t column = 0; column < n; ++column, d += 3) {
        d[face.s_axis] = face.s_sign * (static_cast<double>(2 * column + 1) / static_cast<double>(n) - 1);
        d[face.t_axis] = face.t_sign * (static_cast<double>(2 * row + 1) / static_cast<double>(n) - 1);
        d[face.m_axis] = face.m_sign;
      }
  }
  return out;
}

}  // namespace t3d::raster
