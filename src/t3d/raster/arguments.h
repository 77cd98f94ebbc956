#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "t3d/core/error.h"
#include "t3d/core/text.h"

/// What the rasterization functions check of their arguments. `where` is the function's name, which begins
/// the message. Wrong shapes and types are a BugError, sizes and indices beyond the limits a UserError.
namespace t3d::raster {

constexpr int64_t kMaxTriangles = int64_t{1} << 24;  ///< an index + 1 is exact in a float up to there

/// tri [F,3] int32, contiguous and on `like`'s device; its indices are within 0 .. n_vertices - 1. The latter
/// is checked on the CPU alone, since it would wait for a CUDA device.
void check_triangles(const char* where, const at::Tensor& tri, const at::Tensor& like, int64_t n_vertices);

/// pos [B,V,4] or [V,4], float or double; and check_triangles().
void check_mesh(const char* where, const at::Tensor& pos, const at::Tensor& tri);

/// rast [B,H,W,4] of the given type and device, H and W within 1 .. kMaxSide.
void check_rast(const char* where, const at::Tensor& rast, const at::Tensor& like);

void check_image_size(const char* where, int64_t height, int64_t width);

/// ranges [B,2] int32 on the CPU: first triangle and their number, within tri.
void check_ranges(const char* where, const at::Tensor& ranges, const at::Tensor& tri);

/// Images that pos [B,V,4], or ranges with pos [V,4], make.
int64_t image_count(const at::Tensor& pos, const at::Tensor& ranges);

/// First triangle of image b and their number: all of them without ranges.
std::pair<int64_t, int64_t> triangle_range(const at::Tensor& tri, const at::Tensor& ranges, int64_t b);

/// Calls body(T{}) with T float or double, the type of the tensor.
template <class Body>
void with_float_type(const at::Tensor& tensor, const char* where, const Body& body) {
  if (tensor.scalar_type() == at::kDouble) return body(double{});
  T3D_CHECK(tensor.scalar_type() == at::kFloat, where, " takes tensors of float or double, not ",
            tensor.scalar_type());
  body(float{});
}

}  // namespace t3d::raster
