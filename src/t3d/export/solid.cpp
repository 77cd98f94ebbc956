#include "t3d/export/solid.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/export/check_mesh.h"
#include "t3d/export/inner_shells.h"
#include "t3d/export/keep_faces.h"
#include "t3d/export/mesh_edges.h"
#include "t3d/export/mesh_parts.h"
#include "t3d/export/no_index.h"
#include "t3d/io/weld.h"

namespace t3d::export_ {
namespace {

constexpr float kSmallHole = 0.1f;  // of the mesh's longest side
constexpr float kNudge = 1e-3f;     // of an edge
constexpr int kMostRounds = 32;

using Vec3d = Eigen::Vector3d;

template <class T>
void keep_first(std::vector<T>& values, const std::vector<uint32_t>& first) {
  if (values.empty()) return;
  std::vector<T> kept;
  kept.reserve(first.size());
  for (const uint32_t v : first) kept.push_back(values[v]);
  values = std::move(kept);
}

void weld_vertices(io::Mesh& mesh) {
  const io::WeldedVertices places = io::weld(mesh.positions);
  keep_first(mesh.positions, places.first);
  keep_first(mesh.colours, places.first);
  keep_first(mesh.alphas, places.first);
  for (auto& face : mesh.faces)
    for (uint32_t& v : face) v = places.number[v];
  mesh.normals.clear();
  mesh.uvs.clear();
  mesh.more_uvs.clear();
}

void add_face(io::Mesh& mesh, const std::array<uint32_t, 3>& face, uint32_t like) {
  mesh.faces.push_back(face);
  if (!mesh.face_material.empty()) mesh.face_material.push_back(mesh.face_material[like]);
}

uint32_t add_vertex(io::Mesh& mesh, const Vec3f& place, uint32_t a, uint32_t b) {
  mesh.positions.push_back(place);
  if (!mesh.colours.empty()) mesh.colours.push_back(Vec3f(0.5f * (mesh.colours[a] + mesh.colours[b])));
  if (!mesh.alphas.empty()) mesh.alphas.push_back(0.5f * (mesh.alphas[a] + mesh.alphas[b]));
  return static_cast<uint32_t>(mesh.positions.size()) - 1;
}

/// Faces with two corners at one place, and of faces at the same three places: one of those turned alike,
/// none of two that are turned against each other.
size_t drop_doubles(io::Mesh& mesh) {
  std::map<std::array<uint32_t, 3>, std::pair<int, uint32_t>> balance;  // sum of the senses, one face
  const auto sense = [](const std::array<uint32_t, 3>& f) {
    return ((f[0] > f[1]) + (f[0] > f[2]) + (f[1] > f[2])) % 2 == 0 ? 1 : -1;
  };
  const auto key_of = [](std::array<uint32_t, 3> f) {
    std::sort(f.begin(), f.end());
    return f;
  };
  for (uint32_t f = 0; f < mesh.faces.size(); ++f) {
    const auto& v = mesh.faces[f];
    if (v[0] == v[1] || v[1] == v[2] || v[2] == v[0]) continue;
    balance[key_of(v)].first += sense(v);
  }
  const size_t n_before = mesh.faces.size();
  keep_faces(mesh, [&](size_t f) {
    const auto& v = mesh.faces[f];
    if (v[0] == v[1] || v[1] == v[2] || v[2] == v[0]) return false;
    auto& [sum, taken] = balance[key_of(v)];
    if (sum == 0 || taken > 0 || sense(v) * sum < 0) return false;
    taken = 1;
    return true;
  });
  return n_before - mesh.faces.size();
}

/// The sides at an edge with four or more faces, two and two of which bound the same matter: going around the
/// edge, a face that leaves the matter follows one that enters it. Empty where they do not alternate.
std::vector<std::pair<Side, Side>> pairs_at(const io::Mesh& mesh, std::vector<Side> sides) {
  const auto low = static_cast<uint32_t>(sides[0].edge >> 32), high = static_cast<uint32_t>(sides[0].edge);
  const Vec3d from = mesh.positions[low].cast<double>(), axis = mesh.positions[high].cast<double>() - from;
  const Vec3d unit = axis.normalized(), x = unit.unitOrthogonal(), y = unit.cross(x);
  std::vector<std::pair<double, Side>> around;
  for (const Side& side : sides) {
    const Vec3d w = mesh.positions[mesh.faces[side.face][(side.corner + 2u) % 3u]].cast<double>() - from;
    around.emplace_back(std::atan2(w.dot(y), w.dot(x)), side);
  }
  std::sort(around.begin(), around.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second.face < b.second.face;
  });
  const size_t n = around.size();
  std::vector<std::pair<Side, Side>> pairs;
  for (size_t i = 0; i < n; ++i) {
    const Side &here = around[i].second, &before = around[(i + n - 1) % n].second;
    if (here.is_forward == before.is_forward) return {};
    if (here.is_forward) pairs.emplace_back(here, before);
  }
  return pairs;
}

/// Cuts the face in two at the middle of its side.
void split(io::Mesh& mesh, const Side& side, uint32_t middle) {
  auto& face = mesh.faces[side.face];
  const uint32_t b = face[(side.corner + 1u) % 3u], w = face[(side.corner + 2u) % 3u];
  face[(side.corner + 1u) % 3u] = middle;
  add_face(mesh, {middle, b, w}, side.face);
}

size_t separate_crowded(io::Mesh& mesh) {
  size_t n_edges = 0;
  for (int round = 0; round < kMostRounds; ++round) {
    const auto sides = sorted_sides(mesh.faces);
    std::set<uint32_t> touched;
    size_t n_now = 0;
    for_each_edge(sides, [&](size_t first, size_t end) {
      if (end - first < 4 || (end - first) % 2 != 0) return;
      const std::vector<Side> here(sides.begin() + static_cast<std::ptrdiff_t>(first),
                                   sides.begin() + static_cast<std::ptrdiff_t>(end));
      for (const Side& side : here)
        if (touched.count(side.face) > 0) return;  // its other edges have moved: in the next round
      const auto pairs = pairs_at(mesh, here);
      for (const auto& [one, other] : pairs) {
        const auto a = static_cast<uint32_t>(one.edge >> 32), b = static_cast<uint32_t>(one.edge);
        const auto opposite = [&](const Side& side) {
          return mesh.positions[mesh.faces[side.face][(side.corner + 2u) % 3u]];
        };
        const Vec3f middle = 0.5f * (mesh.positions[a] + mesh.positions[b]);
        const float length = (mesh.positions[b] - mesh.positions[a]).norm();
        Vec3f to = (opposite(one) - middle).normalized() + (opposite(other) - middle).normalized();
        if (to.norm() < 0.1f)  // a flat pair gives way to the side of its matter
          to = (mesh.positions[a] - middle).cross(opposite(one) - middle);
        const uint32_t own = add_vertex(mesh, middle + kNudge * length * to.normalized(), a, b);
        for (const Side& side : {one, other}) split(mesh, side, own), touched.insert(side.face);
      }
      n_now += !pairs.empty();
    });
    n_edges += n_now;
    if (n_now == 0) break;
  }
  return n_edges;
}

/// Neighbours alike, starting from each part's first face; then closed parts outwards.
size_t turn_alike(io::Mesh& mesh) {
  const auto sides = sorted_sides(mesh.faces);
  std::vector<std::array<std::pair<uint32_t, bool>, 3>> next(mesh.faces.size());
  for (auto& three : next) three.fill({kNone, false});
  for_each_edge(sides, [&](size_t first, size_t end) {
    if (end != first + 2) return;
    const Side &a = sides[first], &b = sides[first + 1];
    next[a.face][a.corner] = {b.face, a.is_forward == b.is_forward};
    next[b.face][b.corner] = {a.face, a.is_forward == b.is_forward};
  });
  std::vector<int8_t> sense(mesh.faces.size(), 0);
  size_t n_turned = 0;
  std::vector<uint32_t> part;
  for (uint32_t seed = 0; seed < mesh.faces.size(); ++seed) {
    if (sense[seed] != 0) continue;
    part = {seed};
    sense[seed] = 1;
    bool is_closed = true;
    double volume = 0;
    const Vec3d origin = mesh.positions[mesh.faces[seed][0]].cast<double>();
    for (size_t i = 0; i < part.size(); ++i) {
      const uint32_t f = part[i];
      const auto corner = [&](size_t c) {
        return Vec3d(mesh.positions[mesh.faces[f][c]].cast<double>() - origin);
      };
      volume += sense[f] * corner(0).cross(corner(1)).dot(corner(2));
      for (const auto& [other, is_against] : next[f]) {
        if (other == kNone) {
          is_closed = false;
        } else if (sense[other] == 0) {
          sense[other] = static_cast<int8_t>(is_against ? -sense[f] : sense[f]);
          part.push_back(other);
        }
      }
    }
    size_t n_against = 0;
    for (const uint32_t f : part) n_against += sense[f] < 0;
    // An open part goes with the majority of its faces.
    const bool is_turned = is_closed ? volume < 0 : 2 * n_against > part.size();
    for (const uint32_t f : part)
      if ((sense[f] < 0) != is_turned) std::swap(mesh.faces[f][1], mesh.faces[f][2]), ++n_turned;
  }
  return n_turned;
}

size_t close_small_holes(io::Mesh& mesh) {
  const auto sides = sorted_sides(mesh.faces);
  std::multimap<uint32_t, std::pair<uint32_t, uint32_t>> border;  // from a vertex: to another, the face
  for_each_edge(sides, [&](size_t first, size_t end) {
    if (end != first + 1) return;
    const auto& face = mesh.faces[sides[first].face];
    border.emplace(face[(sides[first].corner + 1u) % 3u],
                   std::make_pair(face[sides[first].corner], sides[first].face));
  });
  const float most = border.empty() ? 0 : kSmallHole * mesh.bounds().size().maxCoeff();
  size_t n_holes = 0;
  while (!border.empty()) {
    // A walk along the border, until it meets itself: what lies between is a loop.
    std::vector<uint32_t> walk = {border.begin()->first};
    std::map<uint32_t, size_t> at = {{walk[0], 0}};
    uint32_t like = 0;
    while (true) {
      const auto step = border.find(walk.back());
      if (step == border.end()) break;  // an edge with three faces ends a border
      const uint32_t to = step->second.first;
      like = step->second.second;
      border.erase(step);
      const auto seen = at.find(to);
      if (seen == at.end()) {
        at[to] = walk.size();
        walk.push_back(to);
        continue;
      }
      const std::vector<uint32_t> loop(walk.begin() + static_cast<std::ptrdiff_t>(seen->second), walk.end());
      for (size_t i = seen->second + 1; i < walk.size(); ++i) at.erase(walk[i]);
      walk.resize(seen->second + 1);
      Vec3f low = mesh.positions[loop[0]], high = low, sum = Vec3f::Zero();
      for (const uint32_t v : loop) {
        low = low.cwiseMin(mesh.positions[v]), high = high.cwiseMax(mesh.positions[v]);
        sum += mesh.positions[v];
      }
      if (loop.size() >= 3 && (high - low).norm() <= most) {
        ++n_holes;
        if (loop.size() == 3) {
          add_face(mesh, {loop[0], loop[1], loop[2]}, like);
        } else {
          const uint32_t middle =
              add_vertex(mesh, sum / static_cast<float>(loop.size()), loop[0], loop[loop.size() / 2]);
          for (size_t i = 0; i < loop.size(); ++i)
            add_face(mesh, {loop[i], loop[(i + 1) % loop.size()], middle}, like);
        }
      }
      if (walk.size() == 1) break;
    }
  }
  return n_holes;
}

}  // namespace

bool SolidReport::has_changes() const {
  return n_inner_shells + n_holes + n_crowded_edges + n_dropped_faces + n_turned_faces > 0;
}

std::string SolidReport::text() const {
  std::string out;
  const auto add = [&out](const char* done, size_t n, const char* what, const char* after = "") {
    if (n > 0) out += cat(out.empty() ? "" : ", ", done, " ", counted(static_cast<int64_t>(n), what), after);
  };
  add("left out", n_inner_shells, "inner shell");
  add("closed", n_holes, "hole");
  add("took apart", n_crowded_edges, "edge", " with more than two faces");
  add("dropped", n_dropped_faces, "face", " without area or twice there");
  add("turned", n_turned_faces, "face");
  return out;
}

SolidReport make_solid(io::Mesh& mesh) {
  SolidReport out;
  weld_vertices(mesh);
  out.n_dropped_faces = drop_doubles(mesh);
  out.n_crowded_edges = separate_crowded(mesh);
  out.n_turned_faces = turn_alike(mesh);
  out.n_holes = close_small_holes(mesh);
  if (out.n_holes > 0) out.n_turned_faces += turn_alike(mesh);  // parts that are closed now
  out.n_inner_shells = drop_inner_shells(mesh);
  remove_small_parts(mesh, 0);  // vertices without faces
  const ShapeCheck check = check_shape(mesh);
  out.is_watertight = check.is_watertight();
  out.n_open_edges = check.n_boundary_edges;
  out.n_crowded_left = check.n_crowded_edges;
  return out;
}

}  // namespace t3d::export_
