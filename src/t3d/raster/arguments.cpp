#include "t3d/raster/arguments.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "t3d/raster/pixel_grid.h"

namespace t3d::raster {

void check_image_size(const char* where, int64_t height, int64_t width) {
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide)
    throw UserError(cat(where, ": an image of ", width, "x", height,
                        " pixels was asked for, and each side may have 1 to ", kMaxSide,
                        ". Render it in tiles, or smaller."));
}

void check_triangles(const char* where, const at::Tensor& tri, const at::Tensor& like, int64_t n_vertices) {
  T3D_CHECK(tri.dim() == 2 && tri.size(1) == 3 && tri.scalar_type() == at::kInt, where,
            ": tri must be [F,3] int32, not ", tri.sizes(), " ", tri.scalar_type());
  T3D_CHECK(tri.device() == like.device(), where, ": tri is on ", tri.device().str(), " and the vertices on ",
            like.device().str());
  T3D_CHECK(tri.is_contiguous(), where, ": tri must be contiguous");
  if (tri.size(0) > kMaxTriangles)
    throw UserError(cat(where, ": the mesh has ", tri.size(0), " triangles, and at most ", kMaxTriangles,
                        " can be told apart in an image. Simplify it, or draw it in parts."));
  if (!tri.device().is_cpu()) return;
  const int32_t* index = tri.data_ptr<int32_t>();
  std::atomic<bool> is_wrong{false};
  at::parallel_for(0, tri.numel(), 1 << 16, [&](int64_t begin, int64_t end) {
    int32_t least_index = 0, most_index = 0;
    for (int64_t i = begin; i < end; ++i) {
      least_index = std::min(least_index, index[i]);
      most_index = std::max(most_index, index[i]);
    }
    if (least_index < 0 || (end > begin && most_index >= n_vertices)) is_wrong = true;
  });
  if (!is_wrong) return;
  int64_t i = 0;
  while (index[i] >= 0 && index[i] < n_vertices) ++i;
  throw UserError(cat(where, ": triangle ", i / 3, " refers to vertex ", index[i], ", and there are ",
                      n_vertices, ", counted from 0. Check the mesh."));
}

void check_mesh(const char* where, const at::Tensor& pos, const at::Tensor& tri) {
  T3D_CHECK((pos.dim() == 3 || pos.dim() == 2) && pos.size(-1) == 4, where,
            ": pos must be [B,V,4] or [V,4], not ", pos.sizes());
  T3D_CHECK(pos.scalar_type() == at::kFloat || pos.scalar_type() == at::kDouble, where,
            ": pos must be float or double, not ", pos.scalar_type());
  check_triangles(where, tri, pos, pos.size(-2));
}

void check_rast(const char* where, const at::Tensor& rast, const at::Tensor& like) {
  T3D_CHECK(rast.dim() == 4 && rast.size(3) == 4, where, ": rast must be [B,H,W,4], not ", rast.sizes());
  T3D_CHECK(rast.scalar_type() == like.scalar_type() && rast.device() == like.device(), where, ": rast is ",
            rast.scalar_type(), " on ", rast.device().str(), " and the values of vertices are ",
            like.scalar_type(), " on ", like.device().str());
  check_image_size(where, rast.size(1), rast.size(2));
}

void check_ranges(const char* where, const at::Tensor& ranges, const at::Tensor& tri) {
  T3D_CHECK(ranges.dim() == 2 && ranges.size(1) == 2 && ranges.scalar_type() == at::kInt &&
                ranges.device().is_cpu(),
            where, ": ranges must be [B,2] int32 on the CPU");
  T3D_CHECK(ranges.is_contiguous(), where, ": ranges must be contiguous");
  for (int64_t b = 0; b < ranges.size(0); ++b) {
    const auto [first, count] = triangle_range(tri, ranges, b);
    if (first < 0 || count < 0 || first + count > tri.size(0))
      throw UserError(cat(where, ": image ", b, " draws ", count, " triangles from number ", first,
                          " on, and there are ", tri.size(0), ". Check ranges."));
  }
}

int64_t image_count(const at::Tensor& pos, const at::Tensor& ranges) {
  return pos.dim() == 3 ? pos.size(0) : ranges.size(0);
}

std::pair<int64_t, int64_t> triangle_range(const at::Tensor& tri, const at::Tensor& ranges, int64_t b) {
  if (!ranges.defined()) return {0, tri.size(0)};
  const int32_t* range = ranges.data_ptr<int32_t>() + 2 * b;
  return {range[0], range[1]};
}

}  // namespace t3d::raster
