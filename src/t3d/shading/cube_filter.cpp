#include "t3d/shading/cube_filter.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/raster/cube_faces.h"
#include "t3d/raster/cube_map.h"
#include "t3d/shading/cube_filter_kernels.h"

namespace t3d::shading {
namespace {

constexpr double kQuarterTurn = 1.57079632679489661923;

double corner_angle(double x, double y) {
  return std::atan2(x * y, std::sqrt(x * x + y * y + 1));
}

at::Tensor unit_directions(int64_t n) {
  const at::Tensor d = raster::cube_directions(n);
  return d / d.norm(2, at::IntArrayRef{-1}, true);
}

/// The columns of a face's texels that a cone may reach, or its rows: [begin, end).
struct Reach {
  int64_t begin = 0, end = 0;
};

/// Along one axis of a face of n texels: `across` and `ahead` are the cone's axis along the face and along
/// the face's normal, `sine` of its half angle. A plane through the other axis of the face, turned by phi,
/// touches the cone where sin(phi - phi of the cone) = sine / length of the axis in this plane.
Reach reach_of(double across, double ahead, double sine, int64_t n) {
  const double length = std::hypot(across, ahead);
  double low = -kQuarterTurn / 2, high = kQuarterTurn / 2;  // what a face spans
  if (sine < length) {
    const double middle = std::atan2(across, ahead), half = std::asin(sine / length);
    low = std::max(low, middle - half), high = std::min(high, middle + half);
    if (low > high) return {};
  }
  const auto texel = [n](double phi) { return (std::tan(phi) + 1) / 2 * static_cast<double>(n) - 0.5; };
  constexpr double kRounding = 1e-3;  // of a texel: one more is weighed as 0
  Reach out;
  out.begin = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(texel(low) - kRounding)), 0, n);
  out.end = std::clamp<int64_t>(static_cast<int64_t>(std::floor(texel(high) + kRounding)) + 1, out.begin, n);
  return out;
}

}  // namespace

at::Tensor texel_weights(int64_t n, TexelWeight kind) {
  const at::Tensor out = at::empty({n, n}, at::kDouble);
  double* w = out.data_ptr<double>();
  const int64_t h = n / 2;
  const auto arc = [h](int64_t k) {
    const auto half = static_cast<double>(h);
    return std::atan(static_cast<double>(k + 1) / half) - std::atan(static_cast<double>(k) / half);
  };
  const auto edge = [n](int64_t i) { return 2 * static_cast<double>(i) / static_cast<double>(n) - 1; };
  for (int64_t row = 0; row < n; ++row)
    for (int64_t column = 0; column < n; ++column, ++w) {
      if (kind == TexelWeight::Threestudio) {
        *w = arc(std::abs(column - h)) * arc(std::abs(row - h));
        continue;
      }
      const double x0 = edge(column), x1 = edge(column + 1), y0 = edge(row), y1 = edge(row + 1);
      *w = corner_angle(x1, y1) - corner_angle(x0, y1) - corner_angle(x1, y0) + corner_angle(x0, y0);
    }
  return out;
}

at::Tensor diffuse_light(const at::Tensor& cube, TexelWeight kind) {
  const int64_t n = cube.size(1), n_texels = 6 * n * n;
  const at::Tensor directions = unit_directions(n), weights = texel_weights(n, kind);
  const at::Tensor colours = cube.to(at::kCPU, at::kDouble).contiguous();
  const double *d = directions.data_ptr<double>(), *w = weights.data_ptr<double>(),
               *colour = colours.data_ptr<double>();
  const at::Tensor out = at::empty({6, n, n, 3}, at::kFloat);
  float* to = out.data_ptr<float>();
  at::parallel_for(0, n_texels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum[3] = {};
      for (int64_t j = 0; j < n_texels; ++j) {
        const double c = d[3 * i] * d[3 * j] + d[3 * i + 1] * d[3 * j + 1] + d[3 * i + 2] * d[3 * j + 2];
        if (c <= 0) continue;
        const double weight = std::min(c, 0.999) * w[j % (n * n)] / 3.141592;
        for (int64_t k = 0; k < 3; ++k) sum[k] += weight * colour[3 * j + k];
      }
      for (int64_t k = 0; k < 3; ++k) to[3 * i + k] = static_cast<float>(sum[k]);
    }
  });
  return out.to(cube.device());
}

at::Tensor glossy_light(const at::Tensor& cube, float roughness, double cone, TexelWeight kind) {
  T3D_CHECK(cube.dim() == 4 && cube.size(0) == 6 && cone > 0 && cone < 1, "a cube of ", cube.sizes(),
            " and a cone of cosine ", cone);
  const int64_t n = cube.size(1);
  const auto planes = [](const at::Tensor& t) {
    return t.to(at::kCPU, at::kFloat).reshape({-1, 3}).t().contiguous();
  };
  const at::Tensor d = planes(unit_directions(n)), colour = planes(cube);  // [3,6nn]
  const at::Tensor w = texel_weights(n, kind).to(at::kFloat).unsqueeze(0).expand({6, n, n}).contiguous();
  const int64_t n_texels = 6 * n * n;
  const float *x = d.data_ptr<float>(), *red = colour.data_ptr<float>();
  const CubeTexels texels = {x,   x + n_texels,   x + 2 * n_texels,  w.data_ptr<float>(),
                             red, red + n_texels, red + 2 * n_texels};
  const at::Tensor out = at::empty({6, n, n, 3}, at::kFloat);
  float* to = out.data_ptr<float>();
  const float alpha2 = roughness * roughness * roughness * roughness;
  const double sine = std::sqrt(1 - cone * cone);
  const auto reach2 = static_cast<float>(2 - 2 * cone);
  // A face's corners lie 54.7 degrees from its normal: a cone further off does not meet it.
  const double least_ahead =
      std::cos(std::min(std::acos(1 / std::sqrt(3.0)) + std::acos(cone) + 1e-6, 2 * kQuarterTurn));
  at::parallel_for(0, n_texels, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float normal[3] = {texels.x[i], texels.y[i], texels.z[i]};
      float sums[4] = {};
      for (int f = 0; f < 6; ++f) {
        const raster::CubeFace face = raster::cube_face(f);
        const double ahead = face.m_sign * normal[face.m_axis];
        if (ahead < least_ahead) continue;
        const Reach columns = reach_of(face.s_sign * normal[face.s_axis], ahead, sine, n);
        if (columns.begin == columns.end) continue;
        const Reach rows = reach_of(face.t_sign * normal[face.t_axis], ahead, sine, n);
        for (int64_t row = rows.begin; row < rows.end; ++row)
          add_glossy_texels(texels, (f * n + row) * n + columns.begin, columns.end - columns.begin, normal,
                            reach2, alpha2, sums);
      }
      for (int c = 0; c < 3; ++c) to[3 * i + c] = sums[0] > 0 ? sums[1 + c] / sums[0] : 0.0f;
    }
  });
  return out.to(cube.device());
}

double cone_cosine(float roughness) {
  constexpr int64_t kSteps = 1000000;
  constexpr double kFraction = 0.99;
  const double alpha2 = std::pow(static_cast<double>(roughness), 4);
  const auto lobe = [alpha2](int64_t i) {
    const double c = std::cos(static_cast<double>(i) * kQuarterTurn / (kSteps - 1));
    const double d = c * c * (alpha2 - 1) + 1;
    return alpha2 / (d * d);
  };
  double total = 0, sum = 0;
  for (int64_t i = 0; i < kSteps; ++i) total += lobe(i);
  int64_t i = 0;
  while (i < kSteps - 1 && (sum += lobe(i)) <= kFraction * total) ++i;
  return std::cos(static_cast<double>(i) * kQuarterTurn / (kSteps - 1));
}

}  // namespace t3d::shading
