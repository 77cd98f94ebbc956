#include "t3d/export/marching_cubes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "t3d/core/error.h"
#include "t3d/export/marching_cubes_table.h"
#include "t3d/export/no_index.h"

namespace t3d::export_ {
namespace {

constexpr float kEdgeMargin = 1e-3f;  // keeps vertices off the corners, where faces of no area would arise

/// Walks through the planes: cubes between plane k and k+1 use planes k-1 to k+2, the outer two for
/// gradients.
class Extractor {
 public:
  Extractor(const SampleGrid& grid, const std::function<void(int, float*)>& slice,
            const MarchingCubesOptions& options)
      : grid_(grid),
        slice_(slice),
        options_(options),
        plane_(static_cast<size_t>(grid.nx) * static_cast<size_t>(grid.ny)) {
    for (auto& values : values_) values.resize(plane_);
    for (auto& ids : along_x_) ids.assign(plane_, kNone);
    for (auto& ids : along_y_) ids.assign(plane_, kNone);
    along_z_.assign(plane_, kNone);
  }

  io::Mesh run() {
    load(0);
    load(1);
    for (int k = 0; k + 1 < grid_.nz; ++k) {
      if (k + 2 < grid_.nz) load(k + 2);
      std::fill(along_z_.begin(), along_z_.end(), kNone);
      for (int j = 0; j + 1 < grid_.ny; ++j)
        for (int i = 0; i + 1 < grid_.nx; ++i) cube(i, j, k);
      // The upper plane's edges become the lower one's.
      along_x_[0].swap(along_x_[1]);
      along_y_[0].swap(along_y_[1]);
      std::fill(along_x_[1].begin(), along_x_[1].end(), kNone);
      std::fill(along_y_[1].begin(), along_y_[1].end(), kNone);
    }
    return std::move(mesh_);
  }

 private:
  size_t at(int i, int j) const {
    return static_cast<size_t>(j) * static_cast<size_t>(grid_.nx) + static_cast<size_t>(i);
  }
  float value(int i, int j, int k) const { return values_[k % 4][at(i, j)]; }

  /// Values relative to the threshold.
  void load(int k) {
    std::vector<float>& values = values_[k % 4];
    slice_(k, values.data());
    for (int j = 0; j < grid_.ny; ++j)
      for (int i = 0; i < grid_.nx; ++i) {
        float& v = values[at(i, j)];
        v = std::isfinite(v) ? v - options_.threshold : (v > 0 ? 1e30f : -1e30f);
        const bool is_border =
            i == 0 || j == 0 || k == 0 || i + 1 == grid_.nx || j + 1 == grid_.ny || k + 1 == grid_.nz;
        if (options_.close_border && is_border) v = std::min(v, -std::abs(v));
      }
  }

  Vec3f gradient(int i, int j, int k) const {
    const int i0 = std::max(i - 1, 0), i1 = std::min(i + 1, grid_.nx - 1);
    const int j0 = std::max(j - 1, 0), j1 = std::min(j + 1, grid_.ny - 1);
    const int k0 = std::max(k - 1, 0), k1 = std::min(k + 1, grid_.nz - 1);
    return {(value(i1, j, k) - value(i0, j, k)) / (static_cast<float>(i1 - i0) * grid_.spacing.x()),
            (value(i, j1, k) - value(i, j0, k)) / (static_cast<float>(j1 - j0) * grid_.spacing.y()),
            (value(i, j, k1) - value(i, j, k0)) / (static_cast<float>(k1 - k0) * grid_.spacing.z())};
  }

  uint32_t& vertex_slot(int edge, int i, int j) {
    const int corner = kCubeEdges[static_cast<size_t>(edge)][0];
    const int dk = corner >> 2 & 1;
    const size_t place = at(i + (corner & 1), j + (corner >> 1 & 1));
    if (edge < 4) return along_x_[dk][place];
    if (edge < 8) return along_y_[dk][place];
    return along_z_[place];
  }

  uint32_t vertex(int edge, int i, int j, int k) {
    uint32_t& slot = vertex_slot(edge, i, j);
    if (slot != kNone) return slot;
    if (mesh_.positions.size() >= kNone)
      throw UserError("the mesh has more than 4 billion vertices. Use a coarser grid.");
    const auto& ends = kCubeEdges[static_cast<size_t>(edge)];
    Eigen::Vector3i a(i + (ends[0] & 1), j + (ends[0] >> 1 & 1), k + (ends[0] >> 2 & 1));
    Eigen::Vector3i b(i + (ends[1] & 1), j + (ends[1] >> 1 & 1), k + (ends[1] >> 2 & 1));
    const float va = value(a[0], a[1], a[2]), vb = value(b[0], b[1], b[2]);
    const float t = std::clamp(va / (va - vb), kEdgeMargin, 1 - kEdgeMargin);
    const Vec3f cell = a.cast<float>() + t * (b - a).cast<float>();
    Vec3f normal = -((1 - t) * gradient(a[0], a[1], a[2]) + t * gradient(b[0], b[1], b[2]));
    const float length = normal.norm();
    // Without a slope to go by: along the edge, from inside to outside.
    if (std::isfinite(length) && length > 0) {
      normal /= length;
    } else {
      normal = (va > 0 ? 1.0f : -1.0f) * (b - a).cast<float>();
    }
    mesh_.positions.push_back(grid_.origin + cell.cwiseProduct(grid_.spacing));
    mesh_.normals.push_back(normal);
    return slot = static_cast<uint32_t>(mesh_.positions.size() - 1);
  }

  void cube(int i, int j, int k) {
    size_t inside = 0;
    for (int c = 0; c < 8; ++c)
      if (value(i + (c & 1), j + (c >> 1 & 1), k + (c >> 2 & 1)) > 0) inside |= size_t{1} << c;
    if (inside == 0 || inside == 255) return;
    const std::vector<uint8_t>& triangles = marching_cubes_table().triangles[inside];
    for (size_t t = 0; t + 2 < triangles.size(); t += 3)
      mesh_.faces.push_back({vertex(triangles[t], i, j, k), vertex(triangles[t + 1], i, j, k),
                             vertex(triangles[t + 2], i, j, k)});
  }

  const SampleGrid& grid_;
  const std::function<void(int, float*)>& slice_;
  const MarchingCubesOptions& options_;
  size_t plane_;
  std::vector<float> values_[4];                   // planes k % 4
  std::vector<uint32_t> along_x_[2], along_y_[2];  // vertex numbers on edges of the lower and upper plane
  std::vector<uint32_t> along_z_;
  io::Mesh mesh_;
};

}  // namespace

SampleGrid SampleGrid::over_box(const Box3f& box, int n) {
  T3D_CHECK(n >= 2, "grid of ", n);
  SampleGrid grid;
  grid.nx = grid.ny = grid.nz = n;
  grid.origin = box.min;
  grid.spacing = box.size() / static_cast<float>(n - 1);
  return grid;
}

io::Mesh marching_cubes(const SampleGrid& grid, const std::function<void(int k, float* values)>& slice,
                        const MarchingCubesOptions& options) {
  for (const int n : {grid.nx, grid.ny, grid.nz})
    T3D_CHECK(n >= 2 && n <= 4096, "grid of ", n, " samples a side");
  T3D_CHECK(grid.spacing.minCoeff() > 0, "spacing ", grid.spacing.transpose());
  io::Mesh mesh = Extractor(grid, slice, options).run();
  if (options.colour) {
    constexpr size_t kBatch = 65536;
    mesh.colours.resize(mesh.positions.size());
    for (size_t i = 0; i < mesh.positions.size(); i += kBatch)
      options.colour(std::min(kBatch, mesh.positions.size() - i), &mesh.positions[i], &mesh.normals[i],
                     &mesh.colours[i]);
  }
  return mesh;
}

}  // namespace t3d::export_
