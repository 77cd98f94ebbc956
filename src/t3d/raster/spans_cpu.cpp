#include <algorithm>

#include "t3d/raster/spans.h"

namespace t3d::raster::cpu {
namespace {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define T3D_SPAN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=haswell", "default")))
#else
#define T3D_SPAN_CLONES
#endif

/// Keeps the sign of value + step n for all n < kSpan in 32 bits: the steps' sum is below 2^29.
inline int32_t with_room(int64_t value) {
  constexpr int64_t kFar = int64_t{1} << 30;
  return static_cast<int32_t>(std::clamp(value, -kFar, kFar));
}

}  // namespace

T3D_SPAN_CLONES void draw_in_tile(const DrawnTriangle& triangle, int32_t tile_i, int32_t tile_j,
                                  const DepthImage& image, const DepthImage* front) {
  const Coverage& cover = triangle.cover;
  const int32_t first = std::max(cover.i0, tile_i) / kSpan * kSpan,
                last = std::min(cover.i1, tile_i + kTile - 1);
  const int32_t j0 = std::max(cover.j0, tile_j), j1 = std::min(cover.j1, tile_j + kTile - 1);
  alignas(64) int32_t step[3][kSpan];
  for (int k = 0; k < 3; ++k)
    for (int32_t n = 0; n < kSpan; ++n) step[k][n] = cover.x[k] * n;
  const DepthPlane depth = triangle.depth;
  for (int32_t j = j0; j <= j1; ++j) {
    const double z_row = depth.plane.c + depth.plane.y * j;
    for (int32_t i = first; i <= last; i += kSpan) {
      int32_t at[3];
      for (int k = 0; k < 3; ++k)
        at[k] = with_room(cover.c[k] + int64_t{cover.x[k]} * i + int64_t{cover.y[k]} * j);
      alignas(64) int32_t outside[kSpan];  // negative outside
      int32_t everywhere = -1;
      for (int32_t n = 0; n < kSpan; ++n) {
        outside[n] = (at[0] + step[0][n]) | (at[1] + step[1][n]) | (at[2] + step[2][n]);
        everywhere &= outside[n];
      }
      if (everywhere < 0) continue;
      alignas(64) float z[kSpan];
      for (int32_t n = 0; n < kSpan; ++n) {
        const float on_plane = static_cast<float>(z_row + depth.plane.x * (i + n)) + 0.0f;
        const float above = on_plane > depth.low ? on_plane : depth.low;
        z[n] = above < depth.high ? above : depth.high;
      }
      float* const z_to = image.z + j * image.stride + i;
      int32_t* const id_to = image.id + j * image.stride + i;
      if (front != nullptr) {
        const float* const z_front = front->z + j * front->stride + i;
        const int32_t* const id_front = front->id + j * front->stride + i;
        for (int32_t n = 0; n < kSpan; ++n) {
          const bool is_behind = (z[n] > z_front[n]) | ((z[n] == z_front[n]) & (triangle.id > id_front[n]));
          outside[n] = is_behind ? outside[n] : -1;
        }
      }
      for (int32_t n = 0; n < kSpan; ++n) {
        const bool wins = (outside[n] >= 0) & (z[n] >= -1.0f) & (z[n] <= 1.0f) & (z[n] < z_to[n]);
        z_to[n] = wins ? z[n] : z_to[n];
        id_to[n] = wins ? triangle.id : id_to[n];
      }
    }
  }
}

}  // namespace t3d::raster::cpu
