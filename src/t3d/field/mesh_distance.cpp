#include "t3d/field/mesh_distance.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "t3d/core/error.h"

namespace t3d::field {
namespace {

constexpr int32_t kLeaf = 6;
constexpr int kDepth = 96;   // of a tree that is split at medians: far more than 2^31 triangles need
constexpr float kFar = 2.f;  // a node is far from this many times its reach on
constexpr float kPi = 3.14159265358979f;

/// Ericson 2005, Real-Time Collision Detection, section 5.1.5: by the region of the triangle's plane that the
/// point is over.
Vec3f nearest_on(const std::array<Vec3f, 3>& t, const Vec3f& p) {
  const Vec3f ab = t[1] - t[0], ac = t[2] - t[0], ap = p - t[0];
  const float d1 = ab.dot(ap), d2 = ac.dot(ap);
  if (d1 <= 0 && d2 <= 0) return t[0];
  const Vec3f bp = p - t[1];
  const float d3 = ab.dot(bp), d4 = ac.dot(bp);
  if (d3 >= 0 && d4 <= d3) return t[1];
  const float vc = d1 * d4 - d3 * d2;
  if (vc <= 0 && d1 >= 0 && d3 <= 0 && d1 > d3) return t[0] + ab * (d1 / (d1 - d3));
  const Vec3f cp = p - t[2];
  const float d5 = ab.dot(cp), d6 = ac.dot(cp);
  if (d6 >= 0 && d5 <= d6) return t[2];
  const float vb = d5 * d2 - d1 * d6;
  if (vb <= 0 && d2 >= 0 && d6 <= 0 && d2 > d6) return t[0] + ac * (d2 / (d2 - d6));
  const float va = d3 * d6 - d5 * d4;
  if (va <= 0 && d4 >= d3 && d5 >= d6 && (d4 - d3) + (d5 - d6) > 0)
    return t[1] + (t[2] - t[1]) * ((d4 - d3) / ((d4 - d3) + (d5 - d6)));
  const float sum = va + vb + vc;
  if (!(sum > 0)) return t[0];  // no area: its corners and edges were looked at
  return t[0] + ab * (vb / sum) + ac * (vc / sum);
}

/// Part of the full sphere that the triangle covers, signed. van Oosterom and Strackee 1983.
float solid_angle(const std::array<Vec3f, 3>& t, const Vec3f& p) {
  const Vec3f a = t[0] - p, b = t[1] - p, c = t[2] - p;
  const float la = a.norm(), lb = b.norm(), lc = c.norm();
  const float below = la * lb * lc + a.dot(b) * lc + b.dot(c) * la + c.dot(a) * lb;
  return std::atan2(a.dot(b.cross(c)), below) / (2 * kPi);
}

float squared_distance_to_box(const Vec3f& low, const Vec3f& high, const Vec3f& p) {
  return (low - p).cwiseMax(p - high).cwiseMax(0).squaredNorm();
}

}  // namespace

MeshDistance::MeshDistance(const std::vector<Vec3f>& positions,
                           const std::vector<std::array<uint32_t, 3>>& faces) {
  T3D_CHECK(!faces.empty(), "a distance to no triangle");
  triangles_.reserve(faces.size());
  for (const auto& f : faces) triangles_.push_back({positions[f[0]], positions[f[1]], positions[f[2]]});
  nodes_.reserve(2 * faces.size() / kLeaf + 2);
  build(0, static_cast<int32_t>(faces.size()));
}

int32_t MeshDistance::build(int32_t first, int32_t end) {
  const auto index = static_cast<int32_t>(nodes_.size());
  Node node;
  node.first = first, node.end = end;
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  node.low = Vec3f::Constant(kInfinite), node.high = -node.low;
  node.centre = node.area_normal = Vec3f::Zero();
  float area = 0;
  for (int32_t i = first; i < end; ++i) {
    const Triangle& t = triangles_[static_cast<size_t>(i)];
    for (const Vec3f& v : t) node.low = node.low.cwiseMin(v), node.high = node.high.cwiseMax(v);
    const Vec3f vector = 0.5f * (t[1] - t[0]).cross(t[2] - t[0]);
    area += vector.norm();
    node.area_normal += vector;
    node.centre += vector.norm() * (t[0] + t[1] + t[2]) / 3;
  }
  node.centre = area > 0 ? Vec3f(node.centre / area) : Vec3f(0.5f * (node.low + node.high));
  for (int32_t i = first; i < end; ++i)
    for (const Vec3f& v : triangles_[static_cast<size_t>(i)])
      node.reach = std::max(node.reach, (v - node.centre).norm());
  nodes_.push_back(node);
  if (end - first <= kLeaf) return index;
  int axis = 0;
  (node.high - node.low).maxCoeff(&axis);
  const int32_t middle = first + (end - first) / 2;
  std::nth_element(triangles_.begin() + first, triangles_.begin() + middle, triangles_.begin() + end,
                   [axis](const Triangle& a, const Triangle& b) {
                     return a[0][axis] + a[1][axis] + a[2][axis] < b[0][axis] + b[1][axis] + b[2][axis];
                   });
  build(first, middle);
  const int32_t right = build(middle, end);
  nodes_[static_cast<size_t>(index)].right = right;
  return index;
}

float MeshDistance::unsigned_distance(const Vec3f& p) const {
  float best = std::numeric_limits<float>::infinity();  // squared
  std::array<int32_t, kDepth> stack;
  size_t n = 0;
  stack[n++] = 0;
  while (n > 0) {
    const int32_t index = stack[--n];
    const Node& node = nodes_[static_cast<size_t>(index)];
    if (squared_distance_to_box(node.low, node.high, p) >= best) continue;
    if (node.right == 0) {
      for (int32_t i = node.first; i < node.end; ++i)
        best = std::min(best, (nearest_on(triangles_[static_cast<size_t>(i)], p) - p).squaredNorm());
      continue;
    }
    const Node &a = nodes_[static_cast<size_t>(index + 1)], &b = nodes_[static_cast<size_t>(node.right)];
    const bool first_is_near =
        squared_distance_to_box(a.low, a.high, p) < squared_distance_to_box(b.low, b.high, p);
    stack[n++] = first_is_near ? node.right : index + 1;
    stack[n++] = first_is_near ? index + 1 : node.right;
  }
  return std::sqrt(best);
}

float MeshDistance::winding_number(const Vec3f& p) const {
  float sum = 0;
  std::array<int32_t, kDepth> stack;
  size_t n = 0;
  stack[n++] = 0;
  while (n > 0) {
    const int32_t index = stack[--n];
    const Node& node = nodes_[static_cast<size_t>(index)];
    const Vec3f to = node.centre - p;
    const float distance = to.norm();
    if (distance > kFar * node.reach) {
      sum += node.area_normal.dot(to) / (4 * kPi * distance * distance * distance);
    } else if (node.right == 0) {
      for (int32_t i = node.first; i < node.end; ++i)
        sum += solid_angle(triangles_[static_cast<size_t>(i)], p);
    } else {
      stack[n++] = node.right;
      stack[n++] = index + 1;
    }
  }
  return sum;
}

float MeshDistance::operator()(const Vec3f& p) const {
  const float distance = unsigned_distance(p);
  return winding_number(p) > 0.5f ? -distance : distance;
}

void MeshDistance::operator()(size_t n, const Vec3f* points, float* distances) const {
  at::parallel_for(0, static_cast<int64_t>(n), 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) distances[i] = (*this)(points[i]);
  });
}

}  // namespace t3d::field
