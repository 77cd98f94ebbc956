#include "t3d/io/crease_normals.h"

#include <cmath>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

/// The bytes of a few floats as a key of a hash map; -0 counts as 0.
template <int N>
struct FloatKey {
  float v[N] = {};
  int n = 0;
  void add(float x) { v[n++] = x + 0.0f; }
  bool operator==(const FloatKey& other) const {
    return std::memcmp(v, other.v, sizeof(float) * static_cast<size_t>(n)) == 0;
  }
};

template <int N>
struct FloatKeyHash {
  size_t operator()(const FloatKey<N>& key) const {
    const std::string_view bytes(reinterpret_cast<const char*>(key.v),
                                 sizeof(float) * static_cast<size_t>(key.n));
    return std::hash<std::string_view>()(bytes);
  }
};

template <class T>
void gather(std::vector<T>& values, const std::vector<uint32_t>& from) {
  if (values.empty()) return;
  std::vector<T> moved;
  moved.reserve(from.size());
  for (const uint32_t i : from) moved.push_back(values[i]);
  values = std::move(moved);
}

void keep_vertices(Mesh& mesh, const std::vector<uint32_t>& from) {
  gather(mesh.positions, from);
  gather(mesh.normals, from);
  gather(mesh.uvs, from);
  for (auto& set : mesh.more_uvs) gather(set, from);
  gather(mesh.colours, from);
  gather(mesh.alphas, from);
}

/// Gives every corner of every face a vertex of its own.
void split_corners(Mesh& mesh) {
  std::vector<uint32_t> from;
  from.reserve(3 * mesh.faces.size());
  for (auto& face : mesh.faces)
    for (uint32_t& corner : face) {
      from.push_back(corner);
      corner = static_cast<uint32_t>(from.size() - 1);
    }
  keep_vertices(mesh, from);
}

/// Corners that share a position: group g holds corners[first[g]] .. corners[first[g + 1] - 1].
struct PositionGroups {
  std::vector<uint32_t> group, first, corners;

  explicit PositionGroups(const std::vector<Vec3f>& positions) : group(positions.size()) {
    std::unordered_map<FloatKey<3>, uint32_t, FloatKeyHash<3>> known;
    for (size_t i = 0; i < positions.size(); ++i) {
      FloatKey<3> key;
      for (int axis = 0; axis < 3; ++axis) key.add(positions[i][axis]);
      group[i] = known.emplace(key, static_cast<uint32_t>(known.size())).first->second;
    }
    first.assign(known.size() + 1, 0);
    for (const uint32_t g : group) ++first[g + 1];
    for (size_t g = 0; g + 1 < first.size(); ++g) first[g + 1] += first[g];
    corners.resize(group.size());
    std::vector<uint32_t> next(first.begin(), first.end() - 1);
    for (size_t i = 0; i < group.size(); ++i) corners[next[group[i]]++] = static_cast<uint32_t>(i);
  }
};

}  // namespace

void make_missing_normals(Mesh& mesh, float angle_deg) {
  mesh.normals.resize(mesh.positions.size(), Vec3f::Zero());
  bool is_complete = true;
  for (const auto& face : mesh.faces)
    for (const uint32_t corner : face) is_complete &= mesh.normals[corner].squaredNorm() > 0;
  if (is_complete) return;

  split_corners(mesh);
  std::vector<Vec3f> weighted, unit;  // of each face
  for (const auto& face : mesh.faces) {
    const Vec3f& a = mesh.positions[face[0]];
    Vec3f normal = (mesh.positions[face[1]] - a).cross(mesh.positions[face[2]] - a);
    if (!normal.allFinite()) {  // coordinates beyond 1e19
      const Vec3d b = (mesh.positions[face[1]].cast<double>() - a.cast<double>()),
                  c = (mesh.positions[face[2]].cast<double>() - a.cast<double>());
      normal = (b.cross(c).stableNormalized() * 1e30).cast<float>();
    }
    weighted.push_back(normal);
    unit.push_back(normal.stableNormalized());
  }
  const PositionGroups groups(mesh.positions);
  const float limit = std::cos(angle_deg * 0.017453293f) - 1e-6f;
  constexpr uint32_t kLargeGroup = 512;  // beyond: a scan per corner would take time in its square
  for (uint32_t corner = 0; corner < mesh.positions.size(); ++corner) {
    if (mesh.normals[corner].squaredNorm() > 0) continue;
    const uint32_t face = corner / 3, g = groups.group[corner];
    Vec3f sum = Vec3f::Zero();
    if (groups.first[g + 1] - groups.first[g] <= kLargeGroup)
      for (uint32_t k = groups.first[g]; k < groups.first[g + 1]; ++k) {
        const uint32_t other = groups.corners[k] / 3;
        if (unit[face].dot(unit[other]) >= limit) sum += weighted[other];
      }
    const Vec3f normal = sum.stableNormalized();
    mesh.normals[corner] = normal.allFinite() && normal.squaredNorm() > 0.5f ? normal : unit[face];
  }
  join_equal_vertices(mesh);
}

namespace {

/// `N`: at least as many floats as a vertex has.
template <int N>
void join_vertices(Mesh& mesh) {
  std::unordered_map<FloatKey<N>, uint32_t, FloatKeyHash<N>> known;
  std::vector<uint32_t> from;
  for (auto& face : mesh.faces)
    for (uint32_t& corner : face) {
      FloatKey<N> key;
      for (int axis = 0; axis < 3; ++axis) {
        key.add(mesh.positions[corner][axis]);
        if (!mesh.normals.empty()) key.add(mesh.normals[corner][axis]);
        if (!mesh.colours.empty()) key.add(mesh.colours[corner][axis]);
        if (!mesh.uvs.empty() && axis < 2) key.add(mesh.uvs[corner][axis]);
      }
      if constexpr (N > 11) {
        if (!mesh.alphas.empty()) key.add(mesh.alphas[corner]);
        for (const auto& set : mesh.more_uvs)
          for (int axis = 0; axis < 2 && !set.empty(); ++axis) key.add(set[corner][axis]);
      }
      const auto found = known.emplace(key, static_cast<uint32_t>(from.size()));
      if (found.second) from.push_back(corner);
      corner = found.first->second;
    }
  keep_vertices(mesh, from);
}

}  // namespace

void join_equal_vertices(Mesh& mesh) {
  T3D_CHECK(mesh.more_uvs.size() < kMaxUvSets, mesh.more_uvs.size());
  if (mesh.alphas.empty() && mesh.more_uvs.empty())
    join_vertices<11>(mesh);
  else
    join_vertices<12 + 2 * (kMaxUvSets - 1)>(mesh);
}

}  // namespace t3d::io
