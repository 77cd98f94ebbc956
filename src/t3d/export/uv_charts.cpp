#include "t3d/export/uv_charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>

#include "t3d/export/chart_planes.h"
#include "t3d/export/mesh_edges.h"
#include "t3d/export/no_index.h"

namespace t3d::export_ {
namespace {

constexpr size_t kFacesOfAxis = 128;   // around the seed, whose mean normal is the chart's axis
constexpr size_t kSmallChart = 24;     // faces, below which a chart is joined to a neighbour
constexpr float kLeastJoined = 0.25f;  // cosine that joined faces may have
constexpr size_t kMostAtEdge = 64;     // faces; where more meet, none is beside another

/// The three faces beside each face; kNone at borders. Where more than two meet, those with the most similar
/// normals are beside each other.
std::vector<std::array<uint32_t, 3>> neighbours_of(const io::Mesh& mesh, const std::vector<Vec3f>& normals) {
  const std::vector<Side> sides = sorted_sides(mesh.faces);
  std::vector<std::array<uint32_t, 3>> out(mesh.faces.size(), {kNone, kNone, kNone});
  const auto put = [&out](const Side& a, const Side& b) {
    out[a.face][a.corner] = b.face;
    out[b.face][b.corner] = a.face;
  };
  for_each_edge(sides, [&](size_t first, size_t end) {
    if (end == first + 2) return put(sides[first], sides[first + 1]);
    std::vector<Side> rest(sides.begin() + static_cast<std::ptrdiff_t>(first),
                           sides.begin() + static_cast<std::ptrdiff_t>(end));
    if (rest.size() > kMostAtEdge) return;
    while (rest.size() >= 2) {
      size_t a = 0, b = 1;
      float best = -2;
      for (size_t i = 0; i < rest.size(); ++i)
        for (size_t j = i + 1; j < rest.size(); ++j)
          if (const float cosine = normals[rest[i].face].dot(normals[rest[j].face]); cosine > best)
            best = cosine, a = i, b = j;
      put(rest[a], rest[b]);
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(b));
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(a));
    }
  });
  return out;
}

class Grower {
 public:
  Grower(const io::Mesh& mesh, float least_cosine)
      : mesh_(mesh), least_cosine_(least_cosine), chart_of_(mesh.faces.size(), kNone), planes_(mesh) {
    for (const auto& face : mesh.faces) {
      const Vec3f& a = mesh.positions[face[0]];
      const Vec3f n = (mesh.positions[face[1]] - a).cross(mesh.positions[face[2]] - a);
      areas_.push_back(n.norm());
      normals_.push_back(areas_.back() > 0 ? Vec3f(n / areas_.back()) : Vec3f(0, 0, 0));
    }
    neighbours_ = neighbours_of(mesh, normals_);
  }

  std::vector<Chart> run() {
    for (uint32_t seed = 0; seed < mesh_.faces.size(); ++seed)
      if (chart_of_[seed] == kNone) grow(seed);
    join_small();
    charts_.erase(
        std::remove_if(charts_.begin(), charts_.end(), [](const Chart& c) { return c.faces.empty(); }),
        charts_.end());
    return std::move(charts_);
  }

 private:
  /// Calls visit(face) for free faces in rings around the seed; those it refuses are not passed through.
  template <class Visit>
  void spread(uint32_t seed, const Visit& visit) {
    ++round_;
    seen_.resize(mesh_.faces.size(), 0);
    std::deque<uint32_t> front = {seed};
    seen_[seed] = round_;
    while (!front.empty()) {
      const uint32_t face = front.front();
      front.pop_front();
      if (!visit(face)) continue;
      for (const uint32_t next : neighbours_[face])
        if (next != kNone && seen_[next] != round_ && chart_of_[next] == kNone) {
          seen_[next] = round_;
          front.push_back(next);
        }
    }
  }

  Vec3f axis_near(uint32_t seed) {
    Vec3f sum = Vec3f::Zero();
    size_t n = 0;
    spread(seed, [&](uint32_t face) {
      if (n >= kFacesOfAxis || normals_[face].dot(normals_[seed]) < 0.7f) return false;
      sum += areas_[face] * normals_[face];
      ++n;
      return true;
    });
    const float length = sum.norm();
    if (length > 0) return sum / length;
    return normals_[seed].norm() > 0 ? normals_[seed] : Vec3f(0, 0, 1);
  }

  void grow(uint32_t seed) {
    Chart chart;
    chart.axis = axis_near(seed);
    const Vec3f other = std::abs(chart.axis.x()) < 0.8f ? Vec3f(1, 0, 0) : Vec3f(0, 1, 0);
    chart.right = other.cross(chart.axis).normalized();
    chart.up = chart.axis.cross(chart.right);
    const auto number = static_cast<uint32_t>(charts_.size());
    const Vec3f& start = mesh_.positions[mesh_.faces[seed][0]];
    chart.origin = Vec2f(chart.right.dot(start), chart.up.dot(start));
    spread(seed, [&](uint32_t face) {
      const bool is_flat = areas_[face] == 0;  // goes with its neighbours
      if (face != seed && !is_flat && normals_[face].dot(chart.axis) < least_cosine_) return false;
      if (!planes_.take(number, chart, face)) return false;
      chart.faces.push_back(face);
      chart_of_[face] = number;
      return true;
    });
    charts_.push_back(std::move(chart));
  }

  /// Small charts cost padding and seams: each goes to the neighbour with the longest common border whose
  /// plane can take it.
  void join_small() {
    std::vector<uint32_t> order;
    for (uint32_t c = 0; c < charts_.size(); ++c)
      if (charts_[c].faces.size() < kSmallChart) order.push_back(c);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return std::make_pair(charts_[a].faces.size(), a) < std::make_pair(charts_[b].faces.size(), b);
    });
    for (const uint32_t c : order) {
      std::map<uint32_t, float> border;
      for (const uint32_t face : charts_[c].faces)
        for (size_t side = 0; side < 3; ++side) {
          const uint32_t next = neighbours_[face][side];
          if (next == kNone || chart_of_[next] == c) continue;
          border[chart_of_[next]] +=
              (mesh_.positions[mesh_.faces[face][side]] - mesh_.positions[mesh_.faces[face][(side + 1) % 3]])
                  .norm();
        }
      std::vector<std::pair<float, uint32_t>> candidates;
      for (const auto& [chart, length] : border) candidates.emplace_back(-length, chart);
      std::sort(candidates.begin(), candidates.end());
      for (const auto& [length, to] : candidates)
        if (join(c, to)) break;
    }
  }

  bool join(uint32_t from, uint32_t to) {
    const Chart& target = charts_[to];
    for (const uint32_t face : charts_[from].faces)
      if (areas_[face] > 0 && normals_[face].dot(target.axis) < kLeastJoined) return false;
    planes_.begin();
    for (const uint32_t face : charts_[from].faces)
      if (!planes_.take(to, target, face)) {
        planes_.undo();
        return false;
      }
    for (const uint32_t face : charts_[from].faces) chart_of_[face] = to;
    charts_[to].faces.insert(charts_[to].faces.end(), charts_[from].faces.begin(), charts_[from].faces.end());
    charts_[from].faces.clear();
    return true;
  }

  const io::Mesh& mesh_;
  float least_cosine_;
  std::vector<std::array<uint32_t, 3>> neighbours_;
  std::vector<uint32_t> chart_of_;
  std::vector<Vec3f> normals_;
  std::vector<float> areas_;  // twice
  std::vector<Chart> charts_;
  std::vector<uint32_t> seen_;
  uint32_t round_ = 0;
  ChartPlanes planes_;
};

}  // namespace

std::vector<Chart> make_charts(const io::Mesh& mesh, float least_cosine) {
  return Grower(mesh, least_cosine).run();
}

}  // namespace t3d::export_
