#include "t3d/mesh/tet_lattice.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/mesh/tet_cell.h"

namespace t3d::mesh {
namespace {

using Point = std::array<int32_t, 3>;
using Tet = std::array<int32_t, 4>;

constexpr int kTetEdges[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};

/// Numbers points with coordinates -1 .. side+1 in the order in which they come.
class Numbering {
 public:
  explicit Numbering(int32_t side)
      : width_(side + 3), numbers_(static_cast<size_t>(width_) * width_ * width_, -1) {}
  int32_t of(const Point& p) {
    int32_t& number = numbers_[(static_cast<size_t>(p[2] + 1) * width_ + (p[1] + 1)) * width_ + (p[0] + 1)];
    if (number < 0) number = n_++;
    return number;
  }

 private:
  size_t width_;
  std::vector<int32_t> numbers_;
  int32_t n_ = 0;
};

bool is_even(const Tet& permutation) {
  int n_inversions = 0;
  for (const auto& [a, b] : kTetEdges) n_inversions += permutation[a] > permutation[b];
  return n_inversions % 2 == 0;
}

/// The tetrahedra of a cube of `side` quarters of a cell.
class Snapper {
 public:
  explicit Snapper(int32_t side) : side_(side), met_(side), kept_(side) {}

  void add(const std::array<Point, 4>& tet) {
    int outside = -1, inside = -1;
    for (int i = 0; i < 4; ++i) {
      const auto [low, high] = std::minmax_element(tet[i].begin(), tet[i].end());
      if (*low > 0 && *high < side_) inside = i;
      if (*low < 0 || *high > side_) outside = i;
    }
    if (inside < 0) return;
    std::array<int32_t, 4> number;
    for (int i = 0; i < 4; ++i) number[i] = met_.of(tet[i]);
    Tet order = {0, 1, 2, 3};
    if (outside >= 0) order = snapped_order(number, outside, inside);
    Tet kept;
    for (int i = 0; i < 4; ++i) {
      Point p = tet[order[i]];
      for (int32_t& x : p) x = std::clamp(x, 0, side_);
      kept[i] = kept_.of(p);
      if (kept[i] == static_cast<int32_t>(points.size())) points.push_back(p);
    }
    tets.push_back(kept);
  }

  std::vector<Point> points;
  std::vector<Tet> tets;

 private:
  /// Snapped tetrahedra have their corners from the outside to the inside, those on the face (two) from the
  /// later to the earlier, and the first two exchanged where that would turn the tetrahedron inside out.
  static Tet snapped_order(const std::array<int32_t, 4>& number, int outside, int inside) {
    std::array<int, 2> on_face{};
    int n = 0;
    for (int i = 0; i < 4; ++i)
      if (i != outside && i != inside) on_face[n++] = i;
    if (number[on_face[0]] < number[on_face[1]]) std::swap(on_face[0], on_face[1]);
    Tet order = {outside, on_face[0], on_face[1], inside};
    if (!is_even(order)) std::swap(order[0], order[1]);
    return order;
  }

  int32_t side_;
  Numbering met_, kept_;
};

/// The larger ends of the edges of each vertex, sorted: vertex v's are second[begin[v]] ..
/// second[begin[v+1]].
struct EdgeLists {
  std::vector<int64_t> begin;
  std::vector<int32_t> second;
};

EdgeLists edge_lists(const int32_t* tets, int64_t n_tets, int64_t n_vertices) {
  const auto each_edge = [&](const auto& body) {
    for (int64_t t = 0; t < n_tets; ++t)
      for (const auto& [a, b] : kTetEdges) {
        const auto [low, high] = std::minmax(tets[4 * t + a], tets[4 * t + b]);
        body(static_cast<size_t>(low), high);
      }
  };
  EdgeLists lists;
  lists.begin.assign(static_cast<size_t>(n_vertices) + 1, 0);
  each_edge([&](size_t low, int32_t) { ++lists.begin[low + 1]; });
  for (size_t v = 1; v < lists.begin.size(); ++v) lists.begin[v] += lists.begin[v - 1];
  lists.second.resize(static_cast<size_t>(6 * n_tets));
  std::vector<int64_t> next(lists.begin.begin(), lists.begin.end() - 1);
  each_edge([&](size_t low, int32_t high) { lists.second[static_cast<size_t>(next[low]++)] = high; });
  int64_t n = 0;
  for (size_t v = 0; v + 1 < lists.begin.size(); ++v) {
    const auto first = lists.second.begin() + lists.begin[v],
               last = lists.second.begin() + lists.begin[v + 1];
    std::sort(first, last);
    const int64_t n_here = std::unique(first, last) - first;
    std::copy(first, first + n_here, lists.second.begin() + n);
    lists.begin[v] = n;
    n += n_here;
  }
  lists.begin.back() = n;
  lists.second.resize(static_cast<size_t>(n));
  return lists;
}

}  // namespace

TetLattice TetLattice::to(c10::Device device) const {
  return {resolution, vertices.to(device), corners.to(device), ends.to(device), tet_edges.to(device)};
}

TetLattice lattice_of(const at::Tensor& vertices, const at::Tensor& tets, int resolution) {
  TetLattice out;
  out.resolution = resolution;
  out.vertices = vertices.to(at::kFloat).contiguous();
  const at::Tensor rows = tets.to(at::kInt).contiguous();  // [T,4]
  out.corners = rows.t().contiguous();
  const int32_t* t = rows.data_ptr<int32_t>();
  const int64_t n_tets = rows.size(0);
  const EdgeLists lists = edge_lists(t, n_tets, vertices.size(0));

  const auto n_edges = static_cast<int64_t>(lists.second.size());
  out.ends = at::empty({2, n_edges}, at::kInt);
  int32_t* ends = out.ends.data_ptr<int32_t>();
  for (size_t v = 0; v + 1 < lists.begin.size(); ++v)
    for (int64_t e = lists.begin[v]; e < lists.begin[v + 1]; ++e)
      ends[e] = static_cast<int32_t>(v), ends[n_edges + e] = lists.second[static_cast<size_t>(e)];

  out.tet_edges = at::empty({n_tets, 6}, at::kInt);
  int32_t* places = out.tet_edges.data_ptr<int32_t>();
  for (int64_t i = 0; i < n_tets; ++i)
    for (const auto& [a, b] : kTetEdges) {
      const auto [low, high] = std::minmax(t[4 * i + a], t[4 * i + b]);
      const auto from = lists.second.begin() + lists.begin[static_cast<size_t>(low)],
                 to = lists.second.begin() + lists.begin[static_cast<size_t>(low) + 1];
      *places++ = static_cast<int32_t>(std::lower_bound(from, to, high) - lists.second.begin());
    }
  return out;
}

TetLattice make_tet_lattice(int resolution) {
  T3D_CHECK(resolution >= 1 && resolution <= 1024, "resolution ", resolution);
  const int32_t n = (resolution + 3) / 4, side = 4 * n;
  Snapper snapper(side);
  for (int32_t z = 0; z <= side; z += 4)
    for (int32_t y = 0; y <= side; y += 4)
      for (int32_t x = 0; x <= side; x += 4)
        for (const CellTet& cell : kCellTets) {
          std::array<Point, 4> tet;
          for (int i = 0; i < 4; ++i) tet[i] = {x + cell[i][0], y + cell[i][1], z + cell[i][2]};
          snapper.add(tet);
        }
  const auto n_points = static_cast<int64_t>(snapper.points.size()),
             n_tets = static_cast<int64_t>(snapper.tets.size());
  const at::Tensor points = at::from_blob(snapper.points.data()->data(), {n_points, 3}, at::kInt);
  const at::Tensor tets = at::from_blob(snapper.tets.data()->data(), {n_tets, 4}, at::kInt);
  return lattice_of(points.to(at::kDouble) / side, tets, resolution);
}

}  // namespace t3d::mesh
