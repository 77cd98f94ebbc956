#include "t3d/toybox/surface.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::toybox {
namespace {

constexpr float kPi = 3.14159265f;

int sides_for(float radius) {
  return std::clamp(static_cast<int>(14.0f + 40.0f * radius), 14, 32);
}

/// Rows of equally many points, joined in a ring; the first and last row are closed by a point each.
Surface rings(const std::vector<std::vector<Vec3f>>& rows, const Vec3f& first, const Vec3f& last) {
  Surface s;
  const auto n = static_cast<uint32_t>(rows[0].size());
  for (const auto& row : rows) s.points.insert(s.points.end(), row.begin(), row.end());
  s.points.push_back(first);
  s.points.push_back(last);
  const auto a = static_cast<uint32_t>(s.points.size() - 2), b = a + 1;
  const auto top = static_cast<uint32_t>(rows.size() - 1) * n;
  for (uint32_t j = 0; j < n; ++j) {
    const uint32_t k = (j + 1) % n;
    s.faces.push_back({a, k, j});
    s.faces.push_back({b, top + j, top + k});
    for (uint32_t r = 0; r < top; r += n) {
      s.faces.push_back({r + j, r + k, r + n + k});
      s.faces.push_back({r + j, r + n + k, r + n + j});
    }
  }
  return s.look_outwards();
}

/// Two unit vectors that make a right-handed frame with `axis`.
std::pair<Vec3f, Vec3f> across(const Vec3f& axis) {
  const Vec3f u = axis.unitOrthogonal();
  return {u, axis.cross(u)};
}

float cross2(const Vec2f& a, const Vec2f& b) {
  return a.x() * b.y() - a.y() * b.x();
}

/// Ear clipping; polygons here have a few dozen corners.
std::vector<std::array<uint32_t, 3>> triangulate(const std::vector<Vec2f>& polygon) {
  std::vector<uint32_t> rest(polygon.size());
  for (size_t i = 0; i < rest.size(); ++i) rest[i] = static_cast<uint32_t>(i);
  std::vector<std::array<uint32_t, 3>> faces;
  while (rest.size() > 3) {
    size_t ear = rest.size();
    for (size_t i = 0; i < rest.size() && ear == rest.size(); ++i) {
      const uint32_t ia = rest[(i + rest.size() - 1) % rest.size()], ib = rest[i],
                     ic = rest[(i + 1) % rest.size()];
      const Vec2f &a = polygon[ia], &b = polygon[ib], &c = polygon[ic];
      if (cross2(b - a, c - b) <= 0) continue;
      const bool is_free = std::none_of(rest.begin(), rest.end(), [&](uint32_t k) {
        if (k == ia || k == ib || k == ic) return false;
        const Vec2f& p = polygon[k];
        return cross2(b - a, p - a) > 0 && cross2(c - b, p - b) > 0 && cross2(a - c, p - c) > 0;
      });
      if (is_free) ear = i;
    }
    if (ear == rest.size()) ear = 0;  // only for degenerate corners
    faces.push_back({rest[(ear + rest.size() - 1) % rest.size()], rest[ear], rest[(ear + 1) % rest.size()]});
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(ear));
  }
  faces.push_back({rest[0], rest[1], rest[2]});
  return faces;
}

template <class V>
std::vector<V> catmull_rom(const std::vector<V>& p, int steps) {
  std::vector<V> curve;
  for (size_t i = 0; i + 1 < p.size(); ++i) {
    const V &a = p[i == 0 ? 0 : i - 1], &b = p[i], &c = p[i + 1], &d = p[std::min(i + 2, p.size() - 1)];
    for (int k = 0; k < steps; ++k) {
      const float t = static_cast<float>(k) / static_cast<float>(steps);
      curve.push_back(0.5f * (2.0f * b + t * (c - a) + t * t * (2.0f * a - 5.0f * b + 4.0f * c - d) +
                              t * t * t * (3.0f * b - a - 3.0f * c + d)));
    }
  }
  curve.push_back(p.back());
  return curve;
}

}  // namespace

Surface& Surface::move(const Vec3f& by) {
  for (Vec3f& p : points) p += by;
  return *this;
}

Surface& Surface::scale(const Vec3f& by) {
  for (Vec3f& p : points) p = p.cwiseProduct(by);
  if (by.prod() < 0)
    for (auto& face : faces) std::swap(face[1], face[2]);
  return *this;
}

Surface& Surface::turn(const Vec3f& axis, float degrees, const Vec3f& about) {
  const Mat3f rotation = Eigen::AngleAxisf(degrees * kPi / 180.0f, axis.normalized()).toRotationMatrix();
  for (Vec3f& p : points) p = rotation * (p - about) + about;
  return *this;
}

Surface& Surface::append(const Surface& other) {
  const auto first = static_cast<uint32_t>(points.size());
  points.insert(points.end(), other.points.begin(), other.points.end());
  for (const auto& f : other.faces) faces.push_back({f[0] + first, f[1] + first, f[2] + first});
  return *this;
}

float Surface::signed_volume() const {
  if (points.empty()) return 0;
  double sum = 0;
  for (const auto& f : faces)
    sum += (points[f[0]] - points[0]).dot((points[f[1]] - points[0]).cross(points[f[2]] - points[0]));
  return static_cast<float>(sum / 6.0);
}

Surface& Surface::look_outwards() {
  if (signed_volume() < 0)
    for (auto& face : faces) std::swap(face[1], face[2]);
  return *this;
}

Surface ellipsoid(const Vec3f& center, const Vec3f& radii) {
  const int n = sides_for(radii.maxCoeff()), m = n / 2;
  std::vector<std::vector<Vec3f>> rows;
  for (int i = 1; i < m; ++i) {
    const float theta = kPi * static_cast<float>(i) / static_cast<float>(m);
    rows.emplace_back();
    for (int j = 0; j < n; ++j) {
      const float phi = 2.0f * kPi * static_cast<float>(j) / static_cast<float>(n);
      const Vec3f p(std::sin(theta) * std::cos(phi), std::sin(theta) * std::sin(phi), -std::cos(theta));
      rows.back().push_back(center + p.cwiseProduct(radii));
    }
  }
  return rings(rows, center - Vec3f(0, 0, radii.z()), center + Vec3f(0, 0, radii.z()));
}

Surface box(const Vec3f& center, const Vec3f& size) {
  Surface s;
  for (int i = 0; i < 8; ++i)
    s.points.push_back(center + 0.5f * Vec3f(i & 1 ? size.x() : -size.x(), i & 2 ? size.y() : -size.y(),
                                             i & 4 ? size.z() : -size.z()));
  s.faces = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}, {0, 1, 4}, {1, 5, 4},
             {2, 6, 3}, {3, 6, 7}, {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};
  return s;
}

Surface rounded_box(const Vec3f& center, const Vec3f& size, float radius) {
  constexpr int kSteps = 3;
  const Vec3f half = 0.5f * size;
  const float r = std::min(radius, 0.999f * half.minCoeff());
  const Vec3f inner = half - Vec3f::Constant(r);
  const auto coordinate = [&](int axis, int i) {  // 0 .. 2 kSteps + 1
    const float h = half[axis];
    return i <= kSteps ? -h + r * static_cast<float>(i) / kSteps
                       : h - r * static_cast<float>(2 * kSteps + 1 - i) / kSteps;
  };
  Surface s;
  const int n = 2 * kSteps + 2;
  for (int axis = 0; axis < 3; ++axis) {
    for (int side = 0; side < 2; ++side) {
      const auto first = static_cast<uint32_t>(s.points.size());
      const int u = (axis + 1) % 3, v = (axis + 2) % 3;
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
          Vec3f q;
          q[axis] = side == 0 ? -half[axis] : half[axis];
          q[u] = coordinate(u, i);
          q[v] = coordinate(v, j);
          const Vec3f nearest = q.cwiseMax(-inner).cwiseMin(inner);
          s.points.push_back(center + nearest + r * (q - nearest).normalized());
        }
      for (int i = 0; i + 1 < n; ++i)
        for (int j = 0; j + 1 < n; ++j) {
          const uint32_t a = first + static_cast<uint32_t>(i * n + j), b = a + static_cast<uint32_t>(n);
          if (side == 1) {
            s.faces.push_back({a, b, b + 1});
            s.faces.push_back({a, b + 1, a + 1});
          } else {
            s.faces.push_back({a, b + 1, b});
            s.faces.push_back({a, a + 1, b + 1});
          }
        }
    }
  }
  return s;
}

Surface lathe(const std::vector<Vec2f>& profile, const Vec3f& base, int n) {
  float widest = 0;
  for (const Vec2f& p : profile) widest = std::max(widest, p.x());
  if (n == 0) n = sides_for(widest);
  std::vector<std::vector<Vec3f>> rows;
  for (const Vec2f& p : profile) {
    if (p.x() <= 1e-5f) continue;
    rows.emplace_back();
    for (int j = 0; j < n; ++j) {
      const float phi = 2.0f * kPi * (static_cast<float>(j) + 0.5f) / static_cast<float>(n);
      rows.back().push_back(base + Vec3f(p.x() * std::cos(phi), p.x() * std::sin(phi), p.y()));
    }
  }
  T3D_CHECK(!rows.empty(), "a lathe profile on the axis");
  return rings(rows, base + Vec3f(0, 0, profile.front().y()), base + Vec3f(0, 0, profile.back().y()));
}

Surface bar(const Vec3f& a, const Vec3f& b, float radius_a, float radius_b, int n) {
  const float length = (b - a).norm();
  Surface s = lathe({{radius_a, 0}, {radius_b, length}}, Vec3f::Zero(), n);
  const Mat3f rotation =
      Eigen::Quaternionf::FromTwoVectors(Vec3f::UnitZ(), (b - a) / length).toRotationMatrix();
  for (Vec3f& p : s.points) p = a + rotation * p;
  return s;
}

Surface torus(const Vec3f& center, const Vec3f& axis, float radius, float thickness) {
  const auto [u, v] = across(axis.normalized());
  const int n = std::max(24, sides_for(radius)), m = std::max(8, sides_for(thickness) - 4);
  Surface s;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) {
      const float a = 2.0f * kPi * static_cast<float>(i) / static_cast<float>(n),
                  b = 2.0f * kPi * static_cast<float>(j) / static_cast<float>(m);
      const Vec3f out = std::cos(a) * u + std::sin(a) * v;
      s.points.push_back(center + (radius + thickness * std::cos(b)) * out +
                         thickness * std::sin(b) * axis.normalized());
    }
  const auto at = [n, m](int i, int j) { return static_cast<uint32_t>((i % n) * m + j % m); };
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) {
      s.faces.push_back({at(i, j), at(i + 1, j), at(i + 1, j + 1)});
      s.faces.push_back({at(i, j), at(i + 1, j + 1), at(i, j + 1)});
    }
  return s.look_outwards();
}

Surface tube(const std::vector<Vec3f>& points, const std::vector<float>& radii) {
  constexpr int kCap = 3;
  const auto last = static_cast<float>(points.size() - 1);
  const auto radius_at = [&](float t) {  // t in 0 .. 1
    const float x = t * static_cast<float>(radii.size() - 1);
    const size_t i = std::min(static_cast<size_t>(x), radii.size() - 1),
                 k = std::min(i + 1, radii.size() - 1);
    return radii[i] + (x - static_cast<float>(i)) * (radii[k] - radii[i]);
  };
  const auto tangent_at = [&](size_t i) {
    return Vec3f((points[std::min(i + 1, points.size() - 1)] - points[i == 0 ? 0 : i - 1]).normalized());
  };
  Vec3f u = tangent_at(0).unitOrthogonal();
  const int n = std::max(10, sides_for(*std::max_element(radii.begin(), radii.end())) - 4);
  std::vector<std::vector<Vec3f>> rows;
  const auto ring = [&](const Vec3f& center, const Vec3f& tangent, float radius) {
    u = (u - u.dot(tangent) * tangent).normalized();
    const Vec3f v = tangent.cross(u);
    rows.emplace_back();
    for (int j = 0; j < n; ++j) {
      const float phi = 2.0f * kPi * static_cast<float>(j) / static_cast<float>(n);
      rows.back().push_back(center + radius * (std::cos(phi) * u + std::sin(phi) * v));
    }
  };
  const Vec3f start = tangent_at(0), end = tangent_at(points.size() - 1);
  const float r0 = radius_at(0), r1 = radius_at(1);
  for (int k = 1; k < kCap; ++k) {
    const float a = 0.5f * kPi * static_cast<float>(k) / kCap;
    ring(points.front() - r0 * std::cos(a) * start, start, r0 * std::sin(a));
  }
  for (size_t i = 0; i < points.size(); ++i)
    ring(points[i], tangent_at(i), radius_at(static_cast<float>(i) / last));
  for (int k = kCap - 1; k > 0; --k) {
    const float a = 0.5f * kPi * static_cast<float>(k) / kCap;
    ring(points.back() + r1 * std::cos(a) * end, end, r1 * std::sin(a));
  }
  return rings(rows, points.front() - r0 * start, points.back() + r1 * end);
}

Surface plate(const std::vector<Vec2f>& polygon, const Vec3f& origin, const Vec3f& u, const Vec3f& v,
              float thickness) {
  Surface s;
  const Vec3f lift = u.cross(v).normalized() * (0.5f * thickness);
  const auto n = static_cast<uint32_t>(polygon.size());
  for (const float side : {-1.0f, 1.0f})
    for (const Vec2f& p : polygon) s.points.push_back(origin + p.x() * u + p.y() * v + side * lift);
  for (const auto& f : triangulate(polygon)) {
    s.faces.push_back({f[0], f[2], f[1]});
    s.faces.push_back({f[0] + n, f[1] + n, f[2] + n});
  }
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t k = (i + 1) % n;
    s.faces.push_back({i, k, k + n});
    s.faces.push_back({i, k + n, i + n});
  }
  return s.look_outwards();
}

std::vector<Vec3f> smooth(const std::vector<Vec3f>& points, int steps) {
  return catmull_rom(points, steps);
}

std::vector<Vec2f> curve(const std::vector<Vec2f>& points, int steps) {
  auto curve = catmull_rom(points, steps);
  for (Vec2f& p : curve) p.x() = std::max(0.0f, p.x());
  return curve;
}

}  // namespace t3d::toybox
