#include "t3d/shading/sky.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/math/vec.h"
#include "t3d/raster/cube_map.h"

namespace t3d::shading {
namespace {

double smooth_step(double low, double high, double x) {
  const double t = std::clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

Vec3d sky_colour(const Vec3d& d) {
  constexpr double kDegree = 3.14159265358979323846 / 180;
  const Vec3d sun(std::cos(50 * kDegree) * std::cos(40 * kDegree),
                  -std::cos(50 * kDegree) * std::sin(40 * kDegree), std::sin(50 * kDegree));
  const Vec3d horizon(0.52, 0.57, 0.62), zenith(0.14, 0.24, 0.45), ground(0.17, 0.15, 0.13);
  const Vec3d warm(1.0, 0.93, 0.82);
  const double height = std::max(d.z(), 0.0), c = d.dot(sun);
  Vec3d air = zenith + (horizon - zenith) * std::exp(-3.5 * height);
  // Two lobes around the sun: what the air scatters forwards, and the disc, wider than the true one so that
  // the texels of coarse levels still hold it.
  air += warm * (0.35 * std::exp(12 * (c - 1)) + 80 * std::exp(900 * (c - 1)));
  return ground + (air - ground) * smooth_step(-0.04, 0.02, d.z());
}

}  // namespace

at::Tensor sky_cube(int64_t n) {
  const at::Tensor directions = raster::cube_directions(n);
  const at::Tensor out = at::empty({6, n, n, 3}, at::kFloat);
  const double* d = directions.data_ptr<double>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); i += 3) {
    const Vec3d colour = sky_colour(Vec3d(d[i], d[i + 1], d[i + 2]).normalized());
    for (int c = 0; c < 3; ++c) to[i + c] = static_cast<float>(colour[c]);
  }
  return out;
}

}  // namespace t3d::shading
