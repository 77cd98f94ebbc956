#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

/// A closed mesh of any size with triangles of about the same size, for tests and benchmarks.
namespace t3d::testing {

struct SphereMesh {
  at::Tensor vertices;   ///< [10 n^2 + 2, 3] float, of length 1
  at::Tensor triangles;  ///< [20 n^2, 3] int32, counterclockwise from outside
};

/// An icosahedron whose edges are divided into n parts, pushed out to the sphere.
inline SphereMesh sphere_mesh(int n) {
  const double g = (1 + std::sqrt(5.0)) / 2;
  const double corner[12][3] = {{-1, g, 0},  {1, g, 0},  {-1, -g, 0}, {1, -g, 0}, {0, -1, g},  {0, 1, g},
                                {0, -1, -g}, {0, 1, -g}, {g, 0, -1},  {g, 0, 1},  {-g, 0, -1}, {-g, 0, 1}};
  const int face[20][3] = {{0, 11, 5}, {0, 5, 1},  {0, 1, 7},   {0, 7, 10}, {0, 10, 11},
                           {1, 5, 9},  {5, 11, 4}, {11, 10, 2}, {10, 7, 6}, {7, 1, 8},
                           {3, 9, 4},  {3, 4, 2},  {3, 2, 6},   {3, 6, 8},  {3, 8, 9},
                           {4, 9, 5},  {2, 4, 11}, {6, 2, 10},  {8, 6, 7},  {9, 8, 1}};
  std::vector<float> vertices;
  std::vector<int32_t> triangles;
  // Points of edges and corners by the corners they lie between and their weights, so that faces share them.
  std::map<std::array<int, 4>, int32_t> on_edges;
  const auto vertex = [&](const int(&f)[3], int a, int b) {
    std::vector<std::pair<int, int>> parts;
    for (const auto& [weight, of] : {std::pair{n - a - b, f[0]}, std::pair{a, f[1]}, std::pair{b, f[2]}})
      if (weight > 0) parts.emplace_back(of, weight);
    std::sort(parts.begin(), parts.end());
    const auto made = static_cast<int32_t>(vertices.size() / 3);
    if (parts.size() < 3) {
      const bool is_corner = parts.size() == 1;
      const std::array<int, 4> key = {parts[0].first, parts[0].second, is_corner ? -1 : parts[1].first,
                                      is_corner ? 0 : parts[1].second};
      const auto [at, is_new] = on_edges.emplace(key, made);
      if (!is_new) return at->second;
    }
    double p[3] = {};
    for (const auto& [of, weight] : parts)
      for (int k = 0; k < 3; ++k) p[k] += weight * corner[of][k];
    const double length = std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    for (const double x : p) vertices.push_back(static_cast<float>(x / length));
    return made;
  };
  for (const auto& f : face) {
    std::vector<int32_t> above;  // the row of points before
    for (int row = 0; row <= n; ++row) {
      std::vector<int32_t> points;
      for (int b = 0; b <= row; ++b) points.push_back(vertex(f, row - b, b));
      for (int b = 0; b < row; ++b) {
        triangles.insert(triangles.end(), {above[b], points[b], points[b + 1]});
        if (b + 1 < row) triangles.insert(triangles.end(), {above[b], points[b + 1], above[b + 1]});
      }
      above = points;
    }
  }
  return {at::tensor(vertices).reshape({-1, 3}), at::tensor(triangles, at::kInt).reshape({-1, 3})};
}

/// Clip-space positions [B,V,4] float of vertices [V,3] seen from B cameras around the origin, `distance`
/// away, with a field of view of 50 degrees, near 0.1 and far 100; turned about both axes by steps that have
/// no symmetry.
inline at::Tensor seen_from_around(const at::Tensor& vertices, int64_t n_cameras, double distance = 3) {
  const double f = 1 / std::tan(25.0 / 180 * M_PI), near = 0.1, far = 100;
  std::vector<at::Tensor> views;
  for (int64_t b = 0; b < n_cameras; ++b) {
    const double a = 0.3 + 2.4 * static_cast<double>(b), e = 0.2 + 0.7 * static_cast<double>(b);
    const at::Tensor turn =
        at::tensor({std::cos(a), std::sin(e) * std::sin(a), std::cos(e) * std::sin(a), 0.0, std::cos(e),
                    -std::sin(e), -std::sin(a), std::sin(e) * std::cos(a), std::cos(e) * std::cos(a)},
                   at::kDouble)
            .reshape({3, 3});
    const at::Tensor p = vertices.to(at::kDouble).matmul(turn);  // [V,3]
    const at::Tensor w = distance - p.select(1, 2);
    const at::Tensor z = (w * (far + near) - 2 * far * near) / (far - near);
    views.push_back(at::stack({p.select(1, 0) * f, p.select(1, 1) * f, z, w}, 1));
  }
  return at::stack(views).to(at::kFloat);
}

}  // namespace t3d::testing
