#include "t3d/export/mesh_parts.h"
#include "t3d/export/no_index.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace t3d::export_ {
namespace {

/// For each vertex, one vertex that stands for its connected part.
std::vector<uint32_t> part_of_vertices(const io::Mesh& mesh) {
  std::vector<uint32_t> parent(mesh.positions.size());
  std::iota(parent.begin(), parent.end(), 0u);
  const auto root = [&](uint32_t v) {
    while (parent[v] != v) v = parent[v] = parent[parent[v]];
    return v;
  };
  for (const auto& face : mesh.faces) {
    parent[root(face[1])] = root(face[0]);
    parent[root(face[2])] = root(face[0]);
  }
  for (uint32_t v = 0; v < parent.size(); ++v) parent[v] = root(v);
  return parent;
}

/// Drops the vertices that `is_kept` denies, and their faces.
void keep_vertices(io::Mesh& mesh, const std::function<bool(uint32_t)>& is_kept) {
  const size_t n = mesh.positions.size();
  std::vector<uint32_t> new_index(n, kNone);
  uint32_t n_kept = 0;
  for (uint32_t v = 0; v < n; ++v)
    if (is_kept(v)) new_index[v] = n_kept++;
  const auto compact = [&](auto& values) {
    if (values.empty()) return;
    for (size_t v = 0; v < n; ++v)
      if (new_index[v] != kNone) values[new_index[v]] = values[v];
    values.resize(n_kept);
  };
  size_t n_faces = 0;
  for (size_t f = 0; f < mesh.faces.size(); ++f) {
    if (new_index[mesh.faces[f][0]] == kNone) continue;
    for (size_t c = 0; c < 3; ++c) mesh.faces[n_faces][c] = new_index[mesh.faces[f][c]];
    if (!mesh.face_material.empty()) mesh.face_material[n_faces] = mesh.face_material[f];
    ++n_faces;
  }
  mesh.faces.resize(n_faces);
  if (!mesh.face_material.empty()) mesh.face_material.resize(n_faces);
  compact(mesh.positions);
  compact(mesh.normals);
  compact(mesh.uvs);
  for (auto& set : mesh.more_uvs) compact(set);
  compact(mesh.colours);
  compact(mesh.alphas);
}

}  // namespace

int remove_small_parts(io::Mesh& mesh, double least) {
  const std::vector<uint32_t> part = part_of_vertices(mesh);
  std::vector<size_t> n_faces(part.size(), 0);
  for (const auto& face : mesh.faces) ++n_faces[part[face[0]]];
  const size_t largest = part.empty() ? 0 : *std::max_element(n_faces.begin(), n_faces.end());
  const double bound = least > 1 ? least : least * static_cast<double>(largest);
  const auto is_kept = [&](uint32_t v) {
    const size_t faces = n_faces[part[v]];
    return faces > 0 && static_cast<double>(faces) >= bound;
  };
  int n_removed = 0;
  for (uint32_t v = 0; v < part.size(); ++v)
    if (part[v] == v && n_faces[v] > 0 && !is_kept(v)) ++n_removed;
  keep_vertices(mesh, is_kept);
  return n_removed;
}

int remove_hollows(io::Mesh& mesh) {
  const std::vector<uint32_t> part = part_of_vertices(mesh);
  std::vector<double> volume(part.size(), 0);
  for (const auto& face : mesh.faces) {
    // About a point of the part itself: far from the origin the terms would cancel badly.
    const Vec3f& from = mesh.positions[part[face[0]]];
    const Eigen::Vector3d a = (mesh.positions[face[0]] - from).cast<double>(),
                          b = (mesh.positions[face[1]] - from).cast<double>(),
                          c = (mesh.positions[face[2]] - from).cast<double>();
    volume[part[face[0]]] += a.cross(b).dot(c);
  }
  int n_removed = 0;
  for (uint32_t v = 0; v < part.size(); ++v)
    if (part[v] == v && volume[v] < 0) ++n_removed;
  if (n_removed > 0) keep_vertices(mesh, [&](uint32_t v) { return volume[part[v]] >= 0; });
  return n_removed;
}

double volume(const io::Mesh& mesh) {
  double sum = 0;
  for (const auto& face : mesh.faces)
    sum += mesh.positions[face[0]]
               .cast<double>()
               .cross(mesh.positions[face[1]].cast<double>())
               .dot(mesh.positions[face[2]].cast<double>()) /
           6;
  return sum;
}

void smooth(io::Mesh& mesh, int n_passes) {
  constexpr float kIn = 0.5f, kOut = -0.53f;
  const size_t n = mesh.positions.size();
  std::vector<Vec3f> sum(n);
  std::vector<float> count(n);
  for (int pass = 0; pass < n_passes; ++pass)
    for (const float step : {kIn, kOut}) {
      std::fill(sum.begin(), sum.end(), Vec3f::Zero());
      std::fill(count.begin(), count.end(), 0.0f);
      for (const auto& face : mesh.faces)
        for (size_t c = 0; c < 3; ++c) {
          sum[face[c]] += mesh.positions[face[(c + 1) % 3]] + mesh.positions[face[(c + 2) % 3]];
          count[face[c]] += 2;
        }
      for (size_t v = 0; v < n; ++v)
        if (count[v] > 0) mesh.positions[v] += step * (sum[v] / count[v] - mesh.positions[v]);
    }
}

void make_vertex_normals(io::Mesh& mesh) {
  mesh.normals.assign(mesh.positions.size(), Vec3f::Zero());
  for (const auto& face : mesh.faces) {
    const Vec3f& a = mesh.positions[face[0]];
    const Vec3f normal = (mesh.positions[face[1]] - a).cross(mesh.positions[face[2]] - a);
    for (const uint32_t v : face) mesh.normals[v] += normal;
  }
  for (Vec3f& normal : mesh.normals) {
    const float length = normal.norm();
    normal = length > 0 && std::isfinite(length) ? Vec3f(normal / length) : Vec3f(0, 0, 1);
  }
}

}  // namespace t3d::export_
