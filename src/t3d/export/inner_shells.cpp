#include "t3d/export/inner_shells.h"

#include <algorithm>

#include "t3d/export/keep_faces.h"
#include "t3d/export/mesh_edges.h"
#include "t3d/math/disjoint_sets.h"

namespace t3d::export_ {
namespace {

using Vec3d = Eigen::Vector3d;

struct Shell {
  std::vector<uint32_t> faces;
  Box3f box{Vec3f::Zero(), Vec3f::Zero()};
  bool is_closed = true;
};

std::vector<Shell> shells_of(const io::Mesh& mesh) {
  const auto sides = sorted_sides(mesh.faces);
  DisjointSets parts(mesh.faces.size());
  std::vector<bool> is_open(mesh.faces.size());
  for_each_edge(sides, [&](size_t first, size_t end) {
    for (size_t i = first + 1; i < end; ++i) parts.join(sides[first].face, sides[i].face);
    if (end == first + 1) is_open[sides[first].face] = true;
  });
  std::vector<int> number(mesh.faces.size(), -1);
  std::vector<Shell> shells;
  for (uint32_t f = 0; f < mesh.faces.size(); ++f) {
    int& own = number[parts.root(f)];
    const bool is_new = own < 0;
    if (is_new) own = static_cast<int>(shells.size()), shells.emplace_back();
    Shell& shell = shells[static_cast<size_t>(own)];
    if (is_new) shell.box = {mesh.positions[mesh.faces[f][0]], mesh.positions[mesh.faces[f][0]]};
    shell.faces.push_back(f);
    shell.is_closed = shell.is_closed && !is_open[f];
    for (const uint32_t v : mesh.faces[f]) {
      shell.box.min = shell.box.min.cwiseMin(mesh.positions[v]);
      shell.box.max = shell.box.max.cwiseMax(mesh.positions[v]);
    }
  }
  return shells;
}

bool lies_within(const Box3f& inner, const Box3f& outer) {
  return (inner.min.array() > outer.min.array()).all() && (inner.max.array() < outer.max.array()).all();
}

/// Whether a ray along z from the point crosses the shell an odd number of times. An edge that the ray meets
/// belongs to one of its faces.
bool is_inside(const io::Mesh& mesh, const Shell& shell, const Vec3d& p) {
  bool is_odd = false;
  for (const uint32_t f : shell.faces) {
    Vec3d v[3];
    for (size_t c = 0; c < 3; ++c) v[c] = mesh.positions[mesh.faces[f][c]].cast<double>() - p;
    const auto cross = [](const Vec3d& a, const Vec3d& b) { return a.x() * b.y() - a.y() * b.x(); };
    // Above or below the x axis, as in counting the winding of a polygon.
    int winding = 0;
    for (int c = 0; c < 3; ++c) {
      const Vec3d &a = v[c], &b = v[(c + 1) % 3];
      if ((a.y() > 0) == (b.y() > 0)) continue;
      // Of the two directions of an edge the same one is computed, so that its faces agree.
      const bool is_up = b.y() > 0;
      const double side = is_up ? cross(a, b) : -cross(b, a);
      if (is_up ? side > 0 : side < 0) winding += is_up ? 1 : -1;
    }
    if (winding == 0) continue;
    const Vec3d n = (v[1] - v[0]).cross(v[2] - v[0]);
    if (n.z() != 0 && n.dot(v[0]) / n.z() > 0) is_odd = !is_odd;
  }
  return is_odd;
}

}  // namespace

size_t drop_inner_shells(io::Mesh& mesh) {
  const std::vector<Shell> shells = shells_of(mesh);
  std::vector<bool> is_dropped(mesh.faces.size());
  size_t n_dropped = 0;
  for (const Shell& inner : shells) {
    if (!inner.is_closed) continue;
    const bool is_within = std::any_of(shells.begin(), shells.end(), [&](const Shell& outer) {
      if (&outer == &inner || !outer.is_closed || !lies_within(inner.box, outer.box)) return false;
      // Three of its corners, so that shells that cut through each other stay.
      const size_t n = inner.faces.size();
      for (const size_t at : {size_t{0}, n / 3, 2 * n / 3})
        if (!is_inside(mesh, outer, mesh.positions[mesh.faces[inner.faces[at]][0]].cast<double>()))
          return false;
      return true;
    });
    if (!is_within) continue;
    ++n_dropped;
    for (const uint32_t f : inner.faces) is_dropped[f] = true;
  }
  keep_faces(mesh, [&](size_t f) { return !is_dropped[f]; });
  return n_dropped;
}

}  // namespace t3d::export_
