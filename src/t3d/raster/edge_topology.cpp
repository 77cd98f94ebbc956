#include "t3d/raster/edge_topology.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "t3d/core/error.h"

namespace t3d::raster {
namespace {

/// An edge seen from one triangle: its greater vertex, and the place of its entry in `opposite`.
struct HalfEdge {
  int32_t greater;
  int32_t place;
};

/// Half edges of a lesser vertex, joined in pairs.
void join(const int32_t* tri, HalfEdge* begin, HalfEdge* end, int32_t* opposite) {
  std::sort(begin, end, [](const HalfEdge& a, const HalfEdge& b) {
    return a.greater != b.greater ? a.greater < b.greater : a.place < b.place;
  });
  for (HalfEdge* e = begin; e != end;) {
    HalfEdge* next = e;
    while (next != end && next->greater == e->greater) ++next;
    // The entry of vertex k of a triangle has that vertex's own place in tri.
    if (next - e == 2) {
      opposite[e[0].place] = tri[e[1].place];
      opposite[e[1].place] = tri[e[0].place];
    }
    e = next;
  }
}

}  // namespace

EdgeTopology EdgeTopology::of(const at::Tensor& tri_in) {
  T3D_CHECK(tri_in.dim() == 2 && tri_in.size(1) == 3 && tri_in.scalar_type() == at::kInt,
            "EdgeTopology: tri must be [F,3] int32, not ", tri_in.sizes());
  const at::Tensor tri = tri_in.cpu().contiguous();
  at::Tensor opposite = at::full_like(tri, -1);
  const int64_t n_triangles = tri.size(0);
  if (n_triangles == 0) return {opposite.to(tri_in.device())};
  T3D_CHECK(tri.min().item<int32_t>() >= 0, "EdgeTopology: tri refers to a negative vertex");
  const int32_t* index = tri.data_ptr<int32_t>();
  const int64_t n_vertices = tri.max().item<int64_t>() + 1;
  const auto for_half_edges = [&](const auto& body) {
    for (int64_t f = 0; f < n_triangles; ++f) {
      const int32_t* v = index + 3 * f;
      if (v[0] == v[1] || v[1] == v[2] || v[2] == v[0]) continue;
      for (int k = 0; k < 3; ++k) {
        const int32_t a = v[(k + 1) % 3], b = v[(k + 2) % 3];
        body(std::min(a, b), HalfEdge{std::max(a, b), static_cast<int32_t>(3 * f + k)});
      }
    }
  };
  std::vector<int64_t> start(static_cast<size_t>(n_vertices) + 1, 0);
  for_half_edges([&](int32_t lesser, const HalfEdge&) { ++start[lesser + 1]; });
  for (int64_t v = 0; v < n_vertices; ++v) start[v + 1] += start[v];
  std::vector<HalfEdge> edges(static_cast<size_t>(start[n_vertices]));
  std::vector<int64_t> next(start.begin(), start.end() - 1);
  for_half_edges([&](int32_t lesser, const HalfEdge& edge) { edges[next[lesser]++] = edge; });
  for (int64_t v = 0; v < n_vertices; ++v)
    join(index, edges.data() + start[v], edges.data() + start[v + 1], opposite.data_ptr<int32_t>());
  return {opposite.to(tri_in.device())};
}

}  // namespace t3d::raster
