#include "t3d/raster/reference.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace t3d::raster {
namespace {

struct ClipPoint {
  double x, y, z, w;
};

/// Whether a triangle covers pixel (i, j), by exact integers where all its vertices are in front of the
/// camera.
bool covers(const std::array<ClipPoint, 3>& v, int64_t i, int64_t j, int64_t width, int64_t height) {
  const bool is_in_front = v[0].w > 0 && v[1].w > 0 && v[2].w > 0;
  std::array<int64_t, 3> x{}, y{};
  std::array<double, 3> px{}, py{};  // relative to the pixel, times w
  for (int k = 0; k < 3; ++k) {
    px[k] = v[k].x - ((2.0 * static_cast<double>(i) + 1) / static_cast<double>(width) - 1) * v[k].w;
    py[k] = v[k].y - ((2.0 * static_cast<double>(j) + 1) / static_cast<double>(height) - 1) * v[k].w;
    if (!is_in_front) continue;
    x[k] = std::llround(std::floor((v[k].x / v[k].w + 1) * 128.0 * static_cast<double>(width) + 0.5)) -
           256 * i - 128;
    y[k] = std::llround(std::floor((v[k].y / v[k].w + 1) * 128.0 * static_cast<double>(height) + 0.5)) -
           256 * j - 128;
  }
  if (!is_in_front) {
    // Homogeneous: all areas have the sign of det, so that the point is a sum of vertices with positive
    // weights.
    std::array<double, 3> a{};
    double det = 0;
    for (int k = 0; k < 3; ++k) {
      const int p = (k + 1) % 3, r = (k + 2) % 3;
      a[k] = px[p] * py[r] - px[r] * py[p];
      det += v[k].w * a[k];
    }
    return det != 0 && a[0] / det > 0 && a[1] / det > 0 && a[2] / det > 0;
  }
  const int64_t area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]);
  if (area == 0) return false;
  for (int k = 0; k < 3; ++k) {
    const int p = (k + 1) % 3, r = (k + 2) % 3;
    const int64_t turn = area > 0 ? 1 : -1, dx = turn * (x[r] - x[p]), dy = turn * (y[r] - y[p]);
    const int64_t left = -dx * y[p] + dy * x[p];  // of the edge, counterclockwise: where the pixel must be
    if (left < 0 || (left == 0 && !(dy < 0 || (dy == 0 && dx < 0)))) return false;
  }
  return true;
}

/// Corners' values [N,3,K] of the triangles that N pixels see.
at::Tensor corners_of(const at::Tensor& values, const at::Tensor& tri, const at::Tensor& image,
                      const at::Tensor& triangle) {
  const at::Tensor vertex = tri.to(at::kLong).index_select(0, triangle);  // [N,3]
  const at::Tensor of = values.size(0) > 1 ? image : at::zeros_like(image);
  return values.index({of.unsqueeze(1).expand_as(vertex), vertex});
}

struct SeenPixels {
  at::Tensor image, row, column, triangle;  ///< [N] int64
};

SeenPixels seen_pixels(const at::Tensor& rast) {
  const at::Tensor id = rast.select(3, 3).to(at::kLong);  // [B,H,W]
  const at::Tensor at = id.nonzero();                     // [N,3]
  return {at.select(1, 0), at.select(1, 1), at.select(1, 2), id.masked_select(id != 0) - 1};
}

at::Tensor cross_product(const at::Tensor& a, const at::Tensor& b) {
  return at::cross(a, b, 1);
}

/// Index + 1 and depth of what each pixel sees, [B,H,W,2].
at::Tensor visible(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width) {
  const at::Tensor p = pos.detach().to(at::kDouble),
                   out = at::zeros({pos.size(0), height, width, 2}, at::kDouble);
  const auto vertex = p.accessor<double, 3>();
  const auto index = tri.accessor<int32_t, 2>();
  auto result = out.accessor<double, 4>();
  for (int64_t b = 0; b < pos.size(0); ++b)
    for (int64_t j = 0; j < height; ++j)
      for (int64_t i = 0; i < width; ++i) {
        float nearest = std::numeric_limits<float>::infinity();
        for (int64_t f = 0; f < tri.size(0); ++f) {
          std::array<ClipPoint, 3> v{};
          for (int k = 0; k < 3; ++k) {
            const auto q = vertex[b][index[f][k]];
            v[k] = {q[0], q[1], q[2], q[3]};
          }
          if (!covers(v, i, j, width, height)) continue;
          // The depth of the plane at the pixel's centre, by Cramer's rule for its three unknowns.
          const double x = (2.0 * static_cast<double>(i) + 1) / static_cast<double>(width) - 1,
                       y = (2.0 * static_cast<double>(j) + 1) / static_cast<double>(height) - 1;
          double det = 0, depth = 0;
          for (int k = 0; k < 3; ++k) {
            const ClipPoint &q = v[(k + 1) % 3], &r = v[(k + 2) % 3];
            const double a = (q.x - x * q.w) * (r.y - y * r.w) - (r.x - x * r.w) * (q.y - y * q.w);
            det += a * v[k].w;
            depth += a * v[k].z;
          }
          const float z = static_cast<float>(depth / det);
          if (!(z >= -1 && z <= 1 && z < nearest)) continue;
          nearest = z;
          result[b][j][i][0] = static_cast<double>(f + 1);
          result[b][j][i][1] = z;
        }
      }
  return out;
}

}  // namespace

Rasterized rasterize_reference(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width) {
  const at::Tensor seen = visible(pos, tri, height, width).to(pos.scalar_type());  // [B,H,W,2]
  at::Tensor rast = at::zeros({pos.size(0), height, width, 4}, pos.options()), rast_db = at::zeros_like(rast);
  const SeenPixels pixels = seen_pixels(at::cat({at::zeros_like(seen), seen.flip(3)}, 3));
  const at::Tensor corners = corners_of(pos, tri, pixels.image, pixels.triangle);  // [N,3,4]
  const auto corner = [&](int64_t k) {                                             // x, y, w
    const at::Tensor c = corners.select(1, k);
    return at::stack({c.select(1, 0), c.select(1, 1), c.select(1, 3)}, 1);
  };
  const at::Tensor lines =
      at::stack({cross_product(corner(1), corner(2)), cross_product(corner(2), corner(0)),
                 cross_product(corner(0), corner(1))},
                1);  // [N,3,3]
  const auto centre = [&](const at::Tensor& n, int64_t side) {
    return (n.to(pos.scalar_type()) * 2 + 1) / static_cast<double>(side) - 1;
  };
  const at::Tensor x = centre(pixels.column, width), y = centre(pixels.row, height);
  const at::Tensor area = (lines * at::stack({x, y, at::ones_like(x)}, 1).unsqueeze(1)).sum(2);  // [N,3]
  const at::Tensor total = area.sum(1, true);
  const at::Tensor inside = (area / total).slice(1, 0, 2).clamp(0, 1);  // u, v
  const at::Tensor uv = inside / inside.sum(1, true).clamp_min(1);
  std::vector<at::Tensor> slopes;
  for (const int64_t k : {0, 1})
    for (const int64_t axis : {0, 1})
      slopes.push_back((lines.select(2, axis).select(1, k) - uv.select(1, k) * lines.select(2, axis).sum(1)) /
                       total.squeeze(1) * (2.0 / static_cast<double>(axis == 0 ? width : height)));
  const auto mask = seen.select(3, 0) != 0;  // [B,H,W]
  rast = rast.index_put({mask}, at::cat({uv, seen.flip(3).index({mask})}, 1));
  return {rast, rast_db.index_put({mask}, at::stack(slopes, 1))};
}

at::Tensor interpolate_reference(const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& tri) {
  const SeenPixels pixels = seen_pixels(rast.detach());
  const at::Tensor corners = corners_of(attr, tri, pixels.image, pixels.triangle);  // [N,3,A]
  const auto mask = rast.select(3, 3) != 0;
  const at::Tensor u = rast.select(3, 0).index({mask}), v = rast.select(3, 1).index({mask});
  const at::Tensor weights = at::stack({u, v, 1 - u - v}, 1).unsqueeze(2);  // [N,3,1]
  const at::Tensor empty =
      at::zeros({rast.size(0), rast.size(1), rast.size(2), attr.size(2)}, attr.options());
  return empty.index_put({mask}, (weights * corners).sum(1));
}

namespace {

/// Third vertices of the triangles at each edge, by its vertices in rising order.
std::map<std::pair<int32_t, int32_t>, std::vector<int32_t>> third_vertices(const at::Tensor& tri) {
  std::map<std::pair<int32_t, int32_t>, std::vector<int32_t>> found;
  const auto v = tri.accessor<int32_t, 2>();
  for (int64_t f = 0; f < tri.size(0); ++f)
    for (int k = 0; k < 3; ++k) found[std::minmax(v[f][(k + 1) % 3], v[f][(k + 2) % 3])].push_back(v[f][k]);
  return found;
}

/// The vertex in pixels from the lower left corner, [2], differentiable.
at::Tensor pixel_position(const at::Tensor& pos, int64_t b, int64_t v, int64_t width, int64_t height) {
  const at::Tensor p = pos[b][v];
  const at::Tensor sides =
      at::tensor({static_cast<double>(width), static_cast<double>(height)}, pos.options());
  return (p.slice(0, 0, 2) / p[3] + 1) / 2 * sides;
}

double signed_area(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
  const at::Tensor p = b - a, q = c - a;
  return (p[0] * q[1] - p[1] * q[0]).item<double>();
}

}  // namespace

at::Tensor antialias_reference(const at::Tensor& color, const at::Tensor& rast, const at::Tensor& pos,
                               const at::Tensor& tri) {
  const int64_t height = rast.size(1), width = rast.size(2);
  const auto third = third_vertices(tri);
  const at::Tensor pixels = rast.detach().to(at::kDouble);
  const auto r = pixels.accessor<double, 4>();
  const auto index = tri.accessor<int32_t, 2>();
  std::vector<at::Tensor> into, amounts;  // flat pixels and what they receive
  const auto look = [&](int64_t b, int64_t j, int64_t i, int64_t axis) {
    const int64_t j1 = j + axis, i1 = i + 1 - axis;
    if (j1 >= height || i1 >= width || r[b][j][i][3] == r[b][j1][i1][3]) return;
    const bool second = r[b][j][i][3] == 0 || (r[b][j1][i1][3] != 0 && !(r[b][j][i][2] < r[b][j1][i1][2]));
    const int64_t nj = second ? j1 : j, ni = second ? i1 : i, fj = second ? j : j1, fi = second ? i : i1;
    const int64_t f = static_cast<int64_t>(r[b][nj][ni][3]) - 1;
    const at::Tensor centre =
        at::tensor({static_cast<double>(ni) + 0.5, static_cast<double>(nj) + 0.5}, pos.options());
    std::vector<at::Tensor> v;
    for (int k = 0; k < 3; ++k) v.push_back(pixel_position(pos, b, index[f][k], width, height) - centre);
    int exit = -1;
    at::Tensor farthest;
    for (int k = 0; k < 3; ++k) {
      const at::Tensor &p = v[(k + 1) % 3], &q = v[(k + 2) % 3];
      const at::Tensor py = p[1 - axis], qy = q[1 - axis];
      if ((py.item<double>() < 0) == (qy.item<double>() < 0)) continue;
      const at::Tensor t = (second ? -1 : 1) * (p[axis] * qy - q[axis] * py) / (qy - py);
      if (exit < 0 || t.item<double>() > farthest.item<double>()) exit = k, farthest = t;
    }
    if (exit < 0 || farthest.item<double>() <= -0.0625 || farthest.item<double>() >= 1.0625) return;
    const int32_t a = index[f][(exit + 1) % 3], c = index[f][(exit + 2) % 3];
    const at::Tensor d = (v[(exit + 2) % 3] - v[(exit + 1) % 3]).abs();
    if (d[1 - axis].item<double>() < d[axis].item<double>()) return;
    const auto& at_edge = third.at(std::minmax(a, c));
    if (at_edge.size() == 2) {
      const int32_t other = at_edge[0] == index[f][exit] ? at_edge[1] : at_edge[0];
      const at::Tensor p = v[(exit + 1) % 3], q = v[(exit + 2) % 3];
      const at::Tensor beyond = pixel_position(pos, b, other, width, height) - centre;
      if ((signed_area(p, q, beyond) < 0) != (signed_area(p, q, v[exit]) < 0)) return;
    }
    const at::Tensor t = farthest.clamp(0, 1);
    const at::Tensor near = color[b][nj][ni], far = color[b][fj][fi];
    const bool blends_near = t.item<double>() < 0.5;
    into.push_back(
        at::tensor({(b * height + (blends_near ? nj : fj)) * width + (blends_near ? ni : fi)}, at::kLong));
    amounts.push_back((blends_near ? (0.5 - t) * (far - near) : (t - 0.5) * (near - far)).unsqueeze(0));
  };
  for (int64_t b = 0; b < rast.size(0); ++b)
    for (int64_t j = 0; j < height; ++j)
      for (int64_t i = 0; i < width; ++i)
        for (const int64_t axis : {0, 1}) look(b, j, i, axis);
  if (into.empty()) return color.clone();
  return color.reshape({-1, color.size(3)}).index_add(0, at::cat(into), at::cat(amounts)).view(color.sizes());
}

}  // namespace t3d::raster
