#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "t3d/math/disjoint_sets.h"
#include "t3d/mesh/surface_mesh.h"
#include "t3d/mesh/unique_pairs.h"

namespace t3d::mesh {
namespace {

/// For each vertex the first one at its place.
std::vector<int64_t> first_at_place(const at::Tensor& vertices) {
  const at::Tensor all = vertices.to(at::kDouble).nan_to_num().contiguous();  // NaN has no order
  const double* v = all.data_ptr<double>();
  const auto place_less = [v](int64_t a, int64_t b) {
    return std::lexicographical_compare(v + 3 * a, v + 3 * a + 3, v + 3 * b, v + 3 * b + 3);
  };
  std::vector<int64_t> order(static_cast<size_t>(all.size(0))), first(order.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return place_less(a, b) || (!place_less(b, a) && a < b); });
  for (size_t i = 0; i < order.size(); ++i) {
    const bool is_new = i == 0 || place_less(order[i - 1], order[i]) || place_less(order[i], order[i - 1]);
    first[static_cast<size_t>(order[i])] = is_new ? order[i] : first[static_cast<size_t>(order[i - 1])];
  }
  return first;
}

/// The faces of all faces' parts: [F] each face's part, named by its first face.
std::vector<int64_t> parts_of(const at::Tensor& faces) {
  const int64_t n = faces.size(0);
  const auto corner = [&](int64_t k) { return faces.select(1, k % 3); };
  std::vector<at::Tensor> sides;
  for (int64_t k = 0; k < 3; ++k) sides.push_back(at::stack({corner(k), corner(k + 1)}, 1));
  const UniquePairs edges = unique_pairs(undirected(at::cat(sides)));  // side k of face f is row k n + f
  const int64_t* edge_of = edges.place.data_ptr<int64_t>();
  struct Sides {
    int64_t n = 0, first = 0, last = 0;
  };
  std::vector<Sides> at_edge(static_cast<size_t>(edges.pairs.size(0)));
  for (int64_t i = 0; i < 3 * n; ++i) {
    Sides& side = at_edge[static_cast<size_t>(edge_of[i])];
    if (side.n++ == 0) side.first = i % n;
    side.last = i % n;
  }
  DisjointSets sets(static_cast<size_t>(n));
  for (const Sides& side : at_edge)
    if (side.n == 2) sets.join(static_cast<uint32_t>(side.first), static_cast<uint32_t>(side.last));
  std::vector<int64_t> part(static_cast<size_t>(n));
  for (int64_t f = 0; f < n; ++f) part[static_cast<size_t>(f)] = sets.root(static_cast<uint32_t>(f));
  return part;
}

at::Tensor as_tensor(const std::vector<int64_t>& values) {
  return at::tensor(at::ArrayRef<int64_t>(values), at::kLong);
}

}  // namespace

SurfaceMesh without_outliers(const SurfaceMesh& mesh, double threshold) {
  if (mesh.faces.size(0) == 0 || mesh.vertices.requires_grad()) return mesh;
  const at::Tensor vertices = mesh.vertices.cpu();
  const at::Tensor joined = as_tensor(first_at_place(vertices));
  const at::Tensor faces =
      joined.index_select(0, mesh.faces.cpu().reshape({-1})).reshape({-1, 3}).contiguous();

  const std::vector<int64_t> part = parts_of(faces);
  std::vector<int64_t> n_faces(part.size(), 0);
  for (const int64_t p : part) ++n_faces[static_cast<size_t>(p)];
  const auto largest = static_cast<double>(*std::max_element(n_faces.begin(), n_faces.end()));
  const auto least = static_cast<int64_t>(threshold < 1 ? largest * threshold : threshold);
  std::vector<int64_t> kept;
  for (size_t f = 0; f < part.size(); ++f)
    if (n_faces[static_cast<size_t>(part[f])] >= least) kept.push_back(static_cast<int64_t>(f));

  const at::Tensor kept_faces = as_tensor(kept);
  const at::Tensor corners = faces.index_select(0, kept_faces).reshape({-1});                          // [3G]
  const at::Tensor part_of_corner = as_tensor(part).index_select(0, kept_faces).repeat_interleave(3);  // [3G]
  const UniquePairs used = unique_pairs(at::stack({corners, part_of_corner}, 1));
  const c10::Device device = mesh.vertices.device();
  SurfaceMesh out;
  out.vertices = vertices.index_select(0, used.pairs.select(1, 0)).to(device);
  out.faces = used.place.reshape({-1, 3}).to(device);
  if (mesh.uv.defined()) {
    out.uv = mesh.uv;
    out.uv_faces = mesh.uv_faces.index_select(0, kept_faces.to(device));
  }
  return out;
}

}  // namespace t3d::mesh
