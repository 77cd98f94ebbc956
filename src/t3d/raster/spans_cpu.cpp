#include <algorithm>
#include <cstring>

#include "t3d/ops/simd.h"
#include "t3d/raster/spans.h"

// Vectors live within one function and are never passed.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace t3d::raster::cpu {
namespace {

// The compiler's own vectors: loops over the pixels of a span stay scalar because of their comparisons.
typedef float Floats __attribute__((vector_size(64)));
typedef float HalfFloats __attribute__((vector_size(32)));
typedef double HalfDoubles __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef int64_t Longs __attribute__((vector_size(64)));
static_assert(sizeof(Floats) == kSpan * sizeof(float));

/// Keeps the sign of value + step n for all n < kSpan in 32 bits: the steps' sum is below 2^29.
T3D_INLINE int32_t with_room(int64_t value) {
  constexpr int64_t kFar = int64_t{1} << 30;
  return static_cast<int32_t>(std::clamp(value, -kFar, kFar));
}

T3D_INLINE void draw_spans(const DrawnTriangle& triangle, int32_t tile_i, int32_t tile_j,
                           const DepthImage& image, const DepthImage* front) {
  const Coverage& cover = triangle.cover;
  const int32_t first = std::max(cover.i0, tile_i) / kSpan * kSpan,
                last = std::min(cover.i1, tile_i + kTile - 1);
  const int32_t j0 = std::max(cover.j0, tile_j), j1 = std::min(cover.j1, tile_j + kTile - 1);
  const Ints place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const HalfDoubles left = {0, 1, 2, 3, 4, 5, 6, 7}, right = {8, 9, 10, 11, 12, 13, 14, 15};
  const Ints step[3] = {place * cover.x[0], place * cover.x[1], place * cover.x[2]};
  const Floats low = triangle.depth.low - Floats{}, high = triangle.depth.high - Floats{};
  const Ints id = triangle.id - Ints{};
  const PixelPlane plane = triangle.depth.plane;
  for (int32_t j = j0; j <= j1; ++j) {
    const double z_row = plane.c + plane.y * j;
    int64_t edge[3];
    for (int k = 0; k < 3; ++k) edge[k] = cover.c[k] + int64_t{cover.x[k]} * first + int64_t{cover.y[k]} * j;
    for (int32_t i = first; i <= last; i += kSpan) {
      const Ints inside = ((with_room(edge[0]) + step[0]) | (with_room(edge[1]) + step[1]) |
                           (with_room(edge[2]) + step[2])) >= 0;
      for (int k = 0; k < 3; ++k) edge[k] += int64_t{cover.x[k]} * kSpan;
      const Longs pairs = (Longs)inside;
      const auto quarters = __builtin_shufflevector(pairs, pairs, 0, 1, 2, 3) |
                            __builtin_shufflevector(pairs, pairs, 4, 5, 6, 7);
      const auto eighths = __builtin_shufflevector(quarters, quarters, 0, 1) |
                           __builtin_shufflevector(quarters, quarters, 2, 3);
      if ((eighths[0] | eighths[1]) == 0) continue;
      const double column = i;
      const HalfFloats z_left = __builtin_convertvector(z_row + plane.x * (column + left), HalfFloats);
      const HalfFloats z_right = __builtin_convertvector(z_row + plane.x * (column + right), HalfFloats);
      const Floats on_plane =
          __builtin_shufflevector(z_left, z_right, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) +
          0.0f;
      const Floats above = on_plane > low ? on_plane : low;
      const Floats z = above < high ? above : high;
      float* const z_to = image.z + j * image.stride + i;
      int32_t* const id_to = image.id + j * image.stride + i;
      Floats z_before;
      Ints id_before;
      std::memcpy(&z_before, z_to, sizeof(Floats));
      Ints wins = inside & (z >= -1.0f) & (z <= 1.0f) & (z < z_before);
      if (front != nullptr) {
        Floats z_front;
        Ints id_front;
        std::memcpy(&z_front, front->z + j * front->stride + i, sizeof(Floats));
        std::memcpy(&id_front, front->id + j * front->stride + i, sizeof(Ints));
        wins &= (z > z_front) | ((z == z_front) & (id > id_front));
      }
      std::memcpy(&id_before, id_to, sizeof(Ints));
      const Floats z_after = wins ? z : z_before;
      const Ints id_after = wins ? id : id_before;
      std::memcpy(z_to, &z_after, sizeof(Floats));
      std::memcpy(id_to, &id_after, sizeof(Ints));
    }
  }
}

#define T3D_DRAW_IN_TILE(NAME, TARGET)                                                   \
  TARGET void draw_in_tile_##NAME(const DrawnTriangle& triangle, int32_t i0, int32_t j0, \
                                  const DepthImage& image, const DepthImage* front) {    \
    draw_spans(triangle, i0, j0, image, front);                                          \
  }
T3D_DRAW_IN_TILE(portable, )
T3D_DRAW_IN_TILE(avx2, T3D_TARGET_AVX2)
T3D_DRAW_IN_TILE(avx512, T3D_TARGET_AVX512)
#undef T3D_DRAW_IN_TILE

}  // namespace

DrawInTile draw_in_tile() {
  const ops::Simd simd = ops::simd();
  return simd == ops::Simd::Avx512 ? draw_in_tile_avx512
         : simd == ops::Simd::Avx2 ? draw_in_tile_avx2
                                   : draw_in_tile_portable;
}

}  // namespace t3d::raster::cpu
