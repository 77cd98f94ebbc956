#include "t3d/raster/visibility_cuda.h"

#include "t3d/raster/cuda_threads.h"
#include "t3d/raster/drawn_triangle.h"

namespace t3d::raster::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int64_t kLargePixels = 4096;  // triangles whose rectangle has more are drawn by many blocks
constexpr int kLargeBlocks = 1056;      // 8 for each of an H200's multiprocessors

/// Orders as (z, id) does.
__device__ unsigned long long key_of(float z, int32_t id) {
  const uint32_t bits = __float_as_uint(z);
  const uint32_t rising = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return (static_cast<unsigned long long>(rising) << 32) | static_cast<uint32_t>(id);
}

__device__ float depth_of(unsigned long long key) {
  const uint32_t rising = static_cast<uint32_t>(key >> 32);
  return __uint_as_float((rising & 0x80000000u) != 0 ? rising & 0x7fffffffu : ~rising);
}

/// The image that is drawn into; front_* null for the nearest layer.
struct Target {
  PixelGrid grid;
  const float* front_z;
  const int32_t* front_id;
  unsigned long long* keys;

  __device__ void draw_pixel(const Coverage& cover, const DepthPlane& depth, int32_t id, int32_t i,
                             int32_t j) const {
    for (int k = 0; k < 3; ++k)
      if (cover.c[k] + int64_t{cover.x[k]} * i + int64_t{cover.y[k]} * j < 0) return;
    const float z = depth.at(i, j);
    if (!is_between_planes(z)) return;
    const int64_t pixel = int64_t{j} * grid.width + i;
    if (front_z != nullptr) {
      const float before = front_z[pixel];
      if (!(z > before || (z == before && id > front_id[pixel]))) return;
    }
    atomicMin(keys + pixel, key_of(z, id));
  }

  /// Every `step`th pixel of the rectangle, from number `from` on.
  __device__ void draw(const Coverage& cover, const DepthPlane& depth, int32_t id, int64_t from,
                       int64_t step) const {
    const int64_t width = cover.i1 - cover.i0 + 1, n = width * (cover.j1 - cover.j0 + 1);
    for (int64_t p = from; p < n; p += step)
      draw_pixel(cover, depth, id, cover.i0 + static_cast<int32_t>(p % width),
                 cover.j0 + static_cast<int32_t>(p / width));
  }
};

/// Calls draw(coverage) for the parts of a triangle.
template <class T, class Draw>
__device__ void for_parts(const Target& target, const T* pos, const int32_t* tri, int64_t f, const Draw& draw,
                          DepthPlane& depth) {
  const ClipVertex v[3] = {clip_vertex(pos, tri[3 * f]), clip_vertex(pos, tri[3 * f + 1]),
                           clip_vertex(pos, tri[3 * f + 2])};
  depth = depth_plane(target.grid, v, edge_lines(v));
  if (is_inside_guard(target.grid, v[0]) && is_inside_guard(target.grid, v[1]) &&
      is_inside_guard(target.grid, v[2])) {
    Coverage cover;
    if (make_coverage(target.grid, snap(target.grid, v[0]), snap(target.grid, v[1]), snap(target.grid, v[2]),
                      cover))
      draw(cover);
  } else {
    for_clipped_parts(target.grid, v, draw);
  }
}

/// A warp for each triangle; large[0] counts those that are left for draw_large, large[1 ..] lists them.
template <class T>
__global__ void draw_small(Target target, const T* pos, const int32_t* tri, int64_t first, int64_t count,
                           int32_t* large) {
  const int64_t n = (blockIdx.x * int64_t{kThreadsOfBlock} + threadIdx.x) / kWarp;
  const int lane = threadIdx.x % kWarp;
  if (n >= count) return;
  const int64_t f = first + n;
  DepthPlane depth;
  bool is_large = false;
  for_parts(
      target, pos, tri, f,
      [&](const Coverage& cover) {
        if (int64_t{cover.i1 - cover.i0 + 1} * (cover.j1 - cover.j0 + 1) > kLargePixels)
          is_large = true;
        else
          target.draw(cover, depth, static_cast<int32_t>(f + 1), lane, kWarp);
      },
      depth);
  if (is_large && lane == 0) large[1 + atomicAdd(large, 1)] = static_cast<int32_t>(f);
}

/// All blocks together draw one large triangle after the other.
template <class T>
__global__ void draw_large(Target target, const T* pos, const int32_t* tri, const int32_t* large) {
  const int64_t thread = blockIdx.x * int64_t{kThreadsOfBlock} + threadIdx.x;
  for (int32_t n = 0; n < large[0]; ++n) {
    DepthPlane depth;
    const int32_t f = large[1 + n];
    for_parts(
        target, pos, tri, f,
        [&](const Coverage& cover) {
          // Its small parts have been drawn; again changes nothing.
          target.draw(cover, depth, f + 1, thread, int64_t{kLargeBlocks} * kThreadsOfBlock);
        },
        depth);
  }
}

struct Unpack {
  const unsigned long long* keys;
  float* z;
  int32_t* id;
  __device__ void operator()(int64_t pixel) const {
    const unsigned long long key = keys[pixel];
    const bool is_empty = key == ~0ull;
    z[pixel] = is_empty ? INFINITY : depth_of(key);
    id[pixel] = is_empty ? 0 : static_cast<int32_t>(key & 0xffffffffull);
  }
};

}  // namespace

template <class T>
void draw_image(const PixelGrid& grid, const T* pos, const int32_t* tri, int64_t first, int64_t count,
                const float* front_z, const int32_t* front_id, int64_t* keys, int32_t* large, float* z,
                int32_t* id, cudaStream_t stream) {
  const int64_t n_pixels = int64_t{grid.width} * grid.height;
  const Target target{grid, front_z, front_id, reinterpret_cast<unsigned long long*>(keys)};
  T3D_CUDA(cudaMemsetAsync(keys, 0xff, static_cast<size_t>(n_pixels) * sizeof(int64_t), stream));
  T3D_CUDA(cudaMemsetAsync(large, 0, sizeof(int32_t), stream));
  if (count > 0) {
    const int64_t per_block = kThreadsOfBlock / kWarp;
    draw_small<T><<<static_cast<unsigned>((count + per_block - 1) / per_block), kThreadsOfBlock, 0, stream>>>(
        target, pos, tri, first, count, large);
    T3D_CUDA(cudaGetLastError());
    draw_large<T><<<kLargeBlocks, kThreadsOfBlock, 0, stream>>>(target, pos, tri, large);
    T3D_CUDA(cudaGetLastError());
  }
  for_each_item(n_pixels, stream, Unpack{target.keys, z, id});
}

template void draw_image<float>(const PixelGrid&, const float*, const int32_t*, int64_t, int64_t,
                                const float*, const int32_t*, int64_t*, int32_t*, float*, int32_t*,
                                cudaStream_t);
template void draw_image<double>(const PixelGrid&, const double*, const int32_t*, int64_t, int64_t,
                                 const float*, const int32_t*, int64_t*, int32_t*, float*, int32_t*,
                                 cudaStream_t);

}  // namespace t3d::raster::cuda
