#include "t3d/export/marching_cubes_table.h"

#include <algorithm>

namespace t3d::export_ {

const std::array<std::array<uint8_t, 2>, 12> kCubeEdges = {{{0, 1},
                                                            {2, 3},
                                                            {4, 5},
                                                            {6, 7},  // x
                                                            {0, 2},
                                                            {1, 3},
                                                            {4, 6},
                                                            {5, 7},  // y
                                                            {0, 4},
                                                            {1, 5},
                                                            {2, 6},
                                                            {3, 7}}};  // z

namespace {

/// Corners of each face, counter-clockwise seen from outside the cube.
constexpr uint8_t kFaces[6][4] = {{0, 4, 6, 2}, {1, 3, 7, 5}, {0, 1, 5, 4},
                                  {2, 6, 7, 3}, {0, 2, 3, 1}, {4, 5, 7, 6}};

int edge_between(int a, int b) {
  for (int e = 0; e < 12; ++e)
    if ((kCubeEdges[e][0] == a && kCubeEdges[e][1] == b) || (kCubeEdges[e][0] == b && kCubeEdges[e][1] == a))
      return e;
  return -1;
}

bool share_a_face(int edge_a, int edge_b) {
  for (const auto& face : kFaces) {
    const auto holds = [&](int edge) {
      return std::find(face, face + 4, kCubeEdges[edge][0]) != face + 4 &&
             std::find(face, face + 4, kCubeEdges[edge][1]) != face + 4;
    };
    if (holds(edge_a) && holds(edge_b)) return true;
  }
  return false;
}

/// The best triangulation of loop[first..last] closed by the line first-last, by the number of diagonals that
/// lie in a face; dynamic programming is not needed for loops this short.
int triangulate(const std::vector<int>& loop, size_t first, size_t last, std::vector<uint8_t>& out) {
  if (last - first < 2) return 0;
  int best = 1000;
  std::vector<uint8_t> best_triangles;
  for (size_t middle = first + 1; middle < last; ++middle) {
    const auto cost = [&](size_t a, size_t b) {
      const bool is_side = b == a + 1 || (a == 0 && b + 1 == loop.size());
      return !is_side && share_a_face(loop[a], loop[b]) ? 1 : 0;
    };
    std::vector<uint8_t> triangles = {static_cast<uint8_t>(loop[first]), static_cast<uint8_t>(loop[middle]),
                                      static_cast<uint8_t>(loop[last])};
    const int total = cost(first, middle) + cost(middle, last) + triangulate(loop, first, middle, triangles) +
                      triangulate(loop, middle, last, triangles);
    if (total < best) {
      best = total;
      best_triangles = triangles;
    }
  }
  out.insert(out.end(), best_triangles.begin(), best_triangles.end());
  return best;
}

MarchingCubesTable make_table() {
  MarchingCubesTable table;
  for (int inside = 0; inside < 256; ++inside) {
    const auto is_inside = [&](int corner) { return (inside >> corner & 1) != 0; };
    // Going around a face counter-clockwise, every run of inside corners is entered over one edge and left
    // over another; the surface cuts the run off with the line from the entry to the exit.
    int next[12];
    std::fill(next, next + 12, -1);
    for (const auto& face : kFaces)
      for (int i = 0; i < 4; ++i) {
        if (is_inside(face[i]) || !is_inside(face[(i + 1) % 4])) continue;
        int j = (i + 1) % 4;
        while (is_inside(face[(j + 1) % 4])) j = (j + 1) % 4;
        next[edge_between(face[i], face[(i + 1) % 4])] = edge_between(face[j], face[(j + 1) % 4]);
      }
    bool is_done[12] = {};
    for (int start = 0; start < 12; ++start) {
      if (next[start] < 0 || is_done[start]) continue;
      std::vector<int> loop;
      for (int e = start; !is_done[e]; e = next[e]) {
        is_done[e] = true;
        loop.push_back(e);
      }
      table.n_unavoidable +=
          triangulate(loop, 0, loop.size() - 1, table.triangles[static_cast<size_t>(inside)]);
    }
  }
  return table;
}

}  // namespace

const MarchingCubesTable& marching_cubes_table() {
  static const MarchingCubesTable table = make_table();
  return table;
}

}  // namespace t3d::export_
