#include "t3d/io/triangulate.h"

#include <cmath>

namespace t3d::io {
namespace {

using Vec2d = Eigen::Vector2d;

constexpr size_t kMaxEars = 20000;
constexpr uint64_t kMaxTests = 50000000;  // of points against ears, in one polygon

double turn(const Vec2d& a, const Vec2d& b, const Vec2d& c) {
  return (b.x() - a.x()) * (c.y() - b.y()) - (b.y() - a.y()) * (c.x() - b.x());
}

/// The polygon in the plane of its normal, turning to the left.
std::vector<Vec2d> in_plane(const std::vector<Vec3f>& corners) {
  Vec3d normal = Vec3d::Zero();
  const Vec3d origin = corners[0].cast<double>();
  for (size_t i = 1; i + 1 < corners.size(); ++i)
    normal += (corners[i].cast<double>() - origin).cross(corners[i + 1].cast<double>() - origin);
  int axis = 0;  // the largest part of the normal is left out
  for (int i = 1; i < 3; ++i)
    if (std::abs(normal[i]) > std::abs(normal[axis])) axis = i;
  if (!(std::abs(normal[axis]) > 0) || !normal.allFinite()) return {};
  const int u = (axis + 1) % 3, v = (axis + 2) % 3;
  const double sign = normal[axis] > 0 ? 1 : -1;
  std::vector<Vec2d> points;
  points.reserve(corners.size());
  for (const Vec3f& c : corners)
    points.emplace_back(sign * (double(c[u]) - origin[u]), double(c[v]) - origin[v]);
  return points;
}

bool is_convex(const std::vector<Vec2d>& p) {
  int n_turns_in_x = 0;
  double last = 0;
  const size_t n = p.size();
  for (size_t i = 0; i < n; ++i) {
    if (turn(p[i], p[(i + 1) % n], p[(i + 2) % n]) < 0) return false;
    // A polygon that winds about itself twice turns to the left throughout, too.
    const double step = p[(i + 1) % n].x() - p[i].x();
    if (step != 0 && last != 0 && (step > 0) != (last > 0)) ++n_turns_in_x;
    if (step != 0) last = step;
  }
  return n_turns_in_x <= 2;
}

class EarCutter {
 public:
  EarCutter(const std::vector<Vec2d>& points, std::vector<std::array<uint32_t, 3>>& triangles)
      : p_(points), triangles_(triangles), next_(points.size()), last_(points.size()) {
    for (size_t i = 0; i < p_.size(); ++i) {
      next_[i] = (i + 1) % p_.size();
      last_[i] = (i + p_.size() - 1) % p_.size();
    }
    for (size_t i = 0; i < p_.size(); ++i)
      if (!is_left(i)) concave_.push_back(i);
  }

  void cut() {
    size_t n = p_.size(), at = 0, n_tried = 0;
    while (n > 3) {
      // After a round without an ear (the polygon crosses itself) any corner is cut.
      const bool takes_any = n_tried >= n || n_tests_ > kMaxTests;
      if (!takes_any && !is_ear(at)) {
        at = next_[at];
        ++n_tried;
        continue;
      }
      emit(at);
      const size_t before = last_[at], after = next_[at];
      next_[before] = after;
      last_[after] = before;
      next_[at] = kGone;
      --n;
      n_tried = 0;
      at = after;
    }
    emit(at);
  }

 private:
  static constexpr size_t kGone = SIZE_MAX;

  bool is_left(size_t i) const { return turn(p_[last_[i]], p_[i], p_[next_[i]]) > 0; }

  bool is_ear(size_t i) {
    if (!is_left(i)) return false;
    const Vec2d &a = p_[last_[i]], &b = p_[i], &c = p_[next_[i]];
    n_tests_ += concave_.size() + 1;
    size_t n_kept = 0;
    bool is_empty = true;
    for (size_t k = 0; k < concave_.size(); ++k) {
      const size_t j = concave_[k];
      if (next_[j] == kGone) continue;  // dropped from the list on the way
      concave_[n_kept++] = j;
      if (!is_empty || j == last_[i] || j == next_[i] || j == i) continue;
      const Vec2d& q = p_[j];
      if (q == a || q == b || q == c) continue;  // the other end of a cut to a hole
      is_empty = !(turn(a, b, q) >= 0 && turn(b, c, q) >= 0 && turn(c, a, q) >= 0);
    }
    concave_.resize(n_kept);
    return is_empty;
  }

  void emit(size_t i) {
    triangles_.push_back(
        {static_cast<uint32_t>(last_[i]), static_cast<uint32_t>(i), static_cast<uint32_t>(next_[i])});
  }

  const std::vector<Vec2d>& p_;
  std::vector<std::array<uint32_t, 3>>& triangles_;
  std::vector<size_t> next_, last_, concave_;
  uint64_t n_tests_ = 0;
};

}  // namespace

void triangulate(const std::vector<Vec3f>& corners, std::vector<std::array<uint32_t, 3>>& triangles) {
  triangles.clear();
  const size_t n = corners.size();
  if (n > 3 && n <= kMaxEars) {
    const std::vector<Vec2d> points = in_plane(corners);
    if (!points.empty() && !is_convex(points)) {
      EarCutter(points, triangles).cut();
      return;
    }
  }
  for (uint32_t i = 1; i + 1 < n; ++i) triangles.push_back({0, i, i + 1});
}

}  // namespace t3d::io
