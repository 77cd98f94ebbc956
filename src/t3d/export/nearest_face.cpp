#include "t3d/export/nearest_face.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "t3d/core/error.h"

namespace t3d::export_ {
namespace {

constexpr uint32_t kFacesOfLeaf = 6;
constexpr size_t kMostDepth = 96;   // of a tree that is split at medians
constexpr float kSameSide = 1e-3f;  // cosine from which a face looks the same way

float squared_distance(const Vec3f& low, const Vec3f& high, const Vec3f& p) {
  return (low - p).cwiseMax(p - high).cwiseMax(0).squaredNorm();
}

/// Weights of corners 1 and 2 of the triangle's nearest point. Ericson 2005, Real-Time Collision Detection,
/// section 5.1.5.
Vec2f nearest_weights(const Vec3f& a, const Vec3f& b, const Vec3f& c, const Vec3f& p) {
  const Vec3f ab = b - a, ac = c - a, ap = p - a, bp = p - b, cp = p - c;
  const float d1 = ab.dot(ap), d2 = ac.dot(ap), d3 = ab.dot(bp), d4 = ac.dot(bp), d5 = ab.dot(cp),
              d6 = ac.dot(cp);
  if (d1 <= 0 && d2 <= 0) return {0, 0};
  if (d3 >= 0 && d4 <= d3) return {1, 0};
  const float vc = d1 * d4 - d3 * d2;
  if (vc <= 0 && d1 >= 0 && d3 <= 0 && d1 > d3) return {d1 / (d1 - d3), 0};
  if (d6 >= 0 && d5 <= d6) return {0, 1};
  const float vb = d5 * d2 - d1 * d6;
  if (vb <= 0 && d2 >= 0 && d6 <= 0 && d2 > d6) return {0, d2 / (d2 - d6)};
  const float va = d3 * d6 - d5 * d4, along = (d4 - d3) + (d5 - d6);
  if (va <= 0 && d4 >= d3 && d5 >= d6 && along > 0) {
    const float w = (d4 - d3) / along;
    return {1 - w, w};
  }
  const float sum = va + vb + vc;
  if (!(sum > 0)) return {0, 0};
  return {vb / sum, vc / sum};
}

}  // namespace

NearestFace::NearestFace(const io::Mesh& mesh) : mesh_(mesh), faces_(mesh.faces.size()) {
  T3D_CHECK(!mesh.faces.empty(), "the nearest of no face");
  std::iota(faces_.begin(), faces_.end(), 0u);
  for (const auto& face : mesh.faces)
    middles_.push_back(mesh.positions[face[0]] + mesh.positions[face[1]] + mesh.positions[face[2]]);
  build(0, static_cast<uint32_t>(faces_.size()));
  middles_ = {};
}

uint32_t NearestFace::build(uint32_t first, uint32_t end) {
  const auto index = static_cast<uint32_t>(nodes_.size());
  Node node;
  node.first = first, node.end = end;
  node.low = Vec3f::Constant(std::numeric_limits<float>::infinity()), node.high = -node.low;
  for (uint32_t i = first; i < end; ++i)
    for (const uint32_t v : mesh_.faces[faces_[i]]) {
      node.low = node.low.cwiseMin(mesh_.positions[v]);
      node.high = node.high.cwiseMax(mesh_.positions[v]);
    }
  nodes_.push_back(node);
  if (end - first <= kFacesOfLeaf) return index;
  int axis = 0;
  (node.high - node.low).maxCoeff(&axis);
  const uint32_t middle = first + (end - first) / 2;
  std::nth_element(faces_.begin() + first, faces_.begin() + middle, faces_.begin() + end,
                   [this, axis](uint32_t a, uint32_t b) {
                     return std::make_pair(middles_[a][axis], a) < std::make_pair(middles_[b][axis], b);
                   });
  build(first, middle);
  const uint32_t right = build(middle, end);
  nodes_[index].right = right;
  return index;
}

bool NearestFace::search(const Vec3f& p, const Vec3f* normal, NearestPoint& out) const {
  float best = std::numeric_limits<float>::infinity();  // squared
  std::array<uint32_t, kMostDepth> stack;
  size_t n = 0;
  stack[n++] = 0;
  while (n > 0) {
    const uint32_t index = stack[--n];
    const Node& node = nodes_[index];
    if (squared_distance(node.low, node.high, p) >= best) continue;
    if (node.right == 0) {
      for (uint32_t i = node.first; i < node.end; ++i) {
        const auto& face = mesh_.faces[faces_[i]];
        const Vec3f &a = mesh_.positions[face[0]], &b = mesh_.positions[face[1]],
                    &c = mesh_.positions[face[2]];
        if (normal != nullptr) {
          const Vec3f cross = (b - a).cross(c - a);
          if (!(cross.dot(*normal) > kSameSide * cross.norm())) continue;
        }
        const Vec2f w = nearest_weights(a, b, c, p);
        const float distance = (a + w.x() * (b - a) + w.y() * (c - a) - p).squaredNorm();
        if (distance < best) best = distance, out = {faces_[i], w.x(), w.y()};
      }
      continue;
    }
    const Node &a = nodes_[index + 1], &b = nodes_[node.right];
    const bool first_is_near = squared_distance(a.low, a.high, p) < squared_distance(b.low, b.high, p);
    stack[n++] = first_is_near ? node.right : index + 1;
    stack[n++] = first_is_near ? index + 1 : node.right;
  }
  return best < std::numeric_limits<float>::infinity();
}

NearestPoint NearestFace::operator()(const Vec3f& point, const Vec3f& normal) const {
  NearestPoint out;
  if (!search(point, &normal, out)) search(point, nullptr, out);
  return out;
}

}  // namespace t3d::export_
