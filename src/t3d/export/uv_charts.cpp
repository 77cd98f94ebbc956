#include "t3d/export/uv_charts.h"
#include "t3d/export/no_index.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <unordered_map>

namespace t3d::export_ {
namespace {

constexpr size_t kFacesOfAxis = 128;   // around the seed, whose mean normal is the chart's axis
constexpr size_t kSmallChart = 24;     // faces, below which a chart is joined to a neighbour
constexpr float kLeastJoined = 0.25f;  // cosine that joined faces may have

/// The three faces beside each face; kNone at borders and where more than two meet.
std::vector<std::array<uint32_t, 3>> neighbours_of(const io::Mesh& mesh) {
  struct Side {
    uint64_t edge;
    uint32_t face, corner;
  };
  std::vector<Side> sides;
  sides.reserve(mesh.faces.size() * 3);
  for (uint32_t f = 0; f < mesh.faces.size(); ++f)
    for (uint32_t c = 0; c < 3; ++c) {
      const uint64_t a = mesh.faces[f][c], b = mesh.faces[f][(c + 1) % 3];
      sides.push_back({std::min(a, b) << 32 | std::max(a, b), f, c});
    }
  std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) { return a.edge < b.edge; });
  std::vector<std::array<uint32_t, 3>> out(mesh.faces.size(), {kNone, kNone, kNone});
  for (size_t i = 0; i < sides.size();) {
    size_t end = i + 1;
    while (end < sides.size() && sides[end].edge == sides[i].edge) ++end;
    if (end == i + 2) {
      out[sides[i].face][sides[i].corner] = sides[i + 1].face;
      out[sides[i + 1].face][sides[i + 1].corner] = sides[i].face;
    }
    i = end;
  }
  return out;
}

/// The texels of one chart's plane that are taken.
class Plane {
 public:
  Plane(const io::Mesh& mesh, const Chart& chart, float cell) : mesh_(mesh), chart_(chart), cell_(cell) {}

  /// Takes the texels whose centres lie inside the face; false, and nothing taken, when one is another's.
  bool take(uint32_t face) {
    std::array<Vec2f, 3> p;
    for (size_t c = 0; c < 3; ++c) {
      const Vec3f& v = mesh_.positions[mesh_.faces[face][c]];
      p[c] = Vec2f(chart_.right.dot(v), chart_.up.dot(v)) / cell_;
    }
    const auto cross = [](const Vec2f& a, const Vec2f& b) { return a.x() * b.y() - a.y() * b.x(); };
    const float area = cross(p[1] - p[0], p[2] - p[0]);
    if (!(area > 0)) return true;
    mine_.clear();
    const Vec2f low = p[0].cwiseMin(p[1]).cwiseMin(p[2]), high = p[0].cwiseMax(p[1]).cwiseMax(p[2]);
    for (auto y = static_cast<int32_t>(std::ceil(low.y())); y <= high.y(); ++y)
      for (auto x = static_cast<int32_t>(std::ceil(low.x())); x <= high.x(); ++x) {
        const Vec2f q(static_cast<float>(x), static_cast<float>(y));
        // A little inside: neighbours share their border.
        const float inside = 1e-3f * area;
        if (cross(p[1] - p[0], q - p[0]) < inside || cross(p[2] - p[1], q - p[1]) < inside ||
            cross(p[0] - p[2], q - p[2]) < inside)
          continue;
        const uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(x)) << 32 | static_cast<uint32_t>(y);
        if (taken_.count(key) > 0) return false;
        mine_.push_back(key);
      }
    for (const uint64_t key : mine_) taken_.emplace(key, face);
    return true;
  }

 private:
  const io::Mesh& mesh_;
  const Chart& chart_;
  float cell_;
  std::unordered_map<uint64_t, uint32_t> taken_;
  std::vector<uint64_t> mine_;
};

class Grower {
 public:
  Grower(const io::Mesh& mesh, float least_cosine, float cell)
      : mesh_(mesh),
        least_cosine_(least_cosine),
        cell_(cell),
        neighbours_(neighbours_of(mesh)),
        chart_of_(mesh.faces.size(), kNone) {
    for (const auto& face : mesh.faces) {
      const Vec3f& a = mesh.positions[face[0]];
      const Vec3f n = (mesh.positions[face[1]] - a).cross(mesh.positions[face[2]] - a);
      areas_.push_back(n.norm());
      normals_.push_back(areas_.back() > 0 ? Vec3f(n / areas_.back()) : Vec3f(0, 0, 0));
    }
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
    Plane plane(mesh_, chart, cell_);
    spread(seed, [&](uint32_t face) {
      const bool is_flat = areas_[face] == 0;  // goes with its neighbours
      if (face != seed && !is_flat && normals_[face].dot(chart.axis) < least_cosine_) return false;
      if (!plane.take(face)) return false;
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
    Plane plane(mesh_, target, cell_);
    for (const uint32_t face : target.faces) plane.take(face);
    for (const uint32_t face : charts_[from].faces)
      if (!plane.take(face)) return false;
    for (const uint32_t face : charts_[from].faces) chart_of_[face] = to;
    charts_[to].faces.insert(charts_[to].faces.end(), charts_[from].faces.begin(), charts_[from].faces.end());
    charts_[from].faces.clear();
    return true;
  }

  const io::Mesh& mesh_;
  float least_cosine_, cell_;
  std::vector<std::array<uint32_t, 3>> neighbours_;
  std::vector<uint32_t> chart_of_;
  std::vector<Vec3f> normals_;
  std::vector<float> areas_;  // twice
  std::vector<Chart> charts_;
  std::vector<uint32_t> seen_;
  uint32_t round_ = 0;
};

}  // namespace

std::vector<Chart> make_charts(const io::Mesh& mesh, float least_cosine, float cell) {
  return Grower(mesh, least_cosine, cell).run();
}

}  // namespace t3d::export_
