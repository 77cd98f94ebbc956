#include "t3d/ops/hash_grid_cuda.h"

#include "t3d/ops/cuda_check.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 1056;  // 8 for each of an H200's multiprocessors; each strides over the points

/// The 8 corners around a point on one level: entries and weights.
struct Cell {
  uint32_t entry[8];
  float weight[8];
};

__device__ __forceinline__ Cell locate(const HashGridTable& table, int level, const float* point,
                                       float point_scale) {
  const float scale = table.scale[level];
  const uint32_t resolution = table.resolution[level], n_entries = table.n_entries[level];
  uint32_t base[3];
  float f[3];
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    const float p = fmaf(fmaf(point[i], point_scale, 0.5f), scale, 0.5f);
    const float cell = floorf(p);
    f[i] = p - cell;
    if (table.smoothstep) f[i] = f[i] * f[i] * (3.0f - 2.0f * f[i]);
    base[i] = static_cast<uint32_t>(static_cast<int>(cell));
  }
  Cell c;
#pragma unroll
  for (int corner = 0; corner < 8; ++corner) {
    const uint32_t x = base[0] + (corner & 1), y = base[1] + ((corner >> 1) & 1), z = base[2] + (corner >> 2);
    uint32_t index;
    if (table.is_dense[level]) {
      index = x + (y + z * resolution) * resolution;
      if (index >= n_entries) index %= n_entries;
    } else {
      index = (x ^ (y * 2654435761u) ^ (z * 805459861u)) & (n_entries - 1);
    }
    c.entry[corner] = table.first_entry[level] + index;
    c.weight[corner] = ((corner & 1) ? f[0] : 1 - f[0]) * ((corner & 2) ? f[1] : 1 - f[1]) *
                       ((corner & 4) ? f[2] : 1 - f[2]);
  }
  return c;
}

template <int F>
__global__ void forward_kernel(const __grid_constant__ HashGridTable table, const __half* __restrict__ params,
                               const float* __restrict__ points, float point_scale, const uint32_t* n_points,
                               __half* __restrict__ out) {
  const uint32_t n = *n_points;
  const int level = blockIdx.y, width = table.n_levels * F;
  for (uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < n; i += gridDim.x * kThreads) {
    const Cell c = locate(table, level, points + 3 * static_cast<size_t>(i), point_scale);
    float sum[F] = {};
#pragma unroll
    for (int corner = 0; corner < 8; ++corner) {
      const __half2* entry =
          reinterpret_cast<const __half2*>(params + static_cast<size_t>(c.entry[corner]) * F);
#pragma unroll
      for (int f = 0; f < F / 2; ++f) {
        const float2 v = __half22float2(entry[f]);
        sum[2 * f] += c.weight[corner] * v.x;
        sum[2 * f + 1] += c.weight[corner] * v.y;
      }
    }
    __half2* to = reinterpret_cast<__half2*>(out + static_cast<size_t>(i) * width + level * F);
#pragma unroll
    for (int f = 0; f < F / 2; ++f) to[f] = __floats2half2_rn(sum[2 * f], sum[2 * f + 1]);
  }
}

__device__ __forceinline__ void add_pair(float* to, float x, float y) {
#if __CUDA_ARCH__ >= 900
  atomicAdd(reinterpret_cast<float2*>(to), make_float2(x, y));
#else
  atomicAdd(to, x);
  atomicAdd(to + 1, y);
#endif
}

template <int F>
__global__ void backward_kernel(const __grid_constant__ HashGridTable table, const float* __restrict__ points,
                                float point_scale, const uint32_t* n_points, const __half* __restrict__ dy,
                                float* __restrict__ gradients) {
  const uint32_t n = *n_points;
  const int level = blockIdx.y, width = table.n_levels * F;
  for (uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < n; i += gridDim.x * kThreads) {
    const __half2* from = reinterpret_cast<const __half2*>(dy + static_cast<size_t>(i) * width + level * F);
    float g[F];
    bool any = false;
#pragma unroll
    for (int f = 0; f < F / 2; ++f) {
      const float2 v = __half22float2(from[f]);
      g[2 * f] = v.x;
      g[2 * f + 1] = v.y;
      any |= v.x != 0.0f || v.y != 0.0f;
    }
    if (!any) continue;
    const Cell c = locate(table, level, points + 3 * static_cast<size_t>(i), point_scale);
#pragma unroll
    for (int corner = 0; corner < 8; ++corner) {
      float* to = gradients + static_cast<size_t>(c.entry[corner]) * F;
#pragma unroll
      for (int f = 0; f < F; f += 2) add_pair(to + f, c.weight[corner] * g[f], c.weight[corner] * g[f + 1]);
    }
  }
}

}  // namespace

void hash_grid_forward(const HashGridTable& table, const __half* params, const float* points,
                       float point_scale, const uint32_t* n_points, __half* out, cudaStream_t stream) {
  const dim3 grid(kBlocks, table.n_levels);
  switch (table.n_features) {
    case 2:
      forward_kernel<2><<<grid, kThreads, 0, stream>>>(table, params, points, point_scale, n_points, out);
      break;
    case 4:
      forward_kernel<4><<<grid, kThreads, 0, stream>>>(table, params, points, point_scale, n_points, out);
      break;
    default:
      forward_kernel<8><<<grid, kThreads, 0, stream>>>(table, params, points, point_scale, n_points, out);
  }
  T3D_CUDA(cudaGetLastError());
}

void hash_grid_backward(const HashGridTable& table, const float* points, float point_scale,
                        const uint32_t* n_points, const __half* dy, float* gradients, cudaStream_t stream) {
  const dim3 grid(kBlocks, table.n_levels);
  switch (table.n_features) {
    case 2:
      backward_kernel<2><<<grid, kThreads, 0, stream>>>(table, points, point_scale, n_points, dy, gradients);
      break;
    case 4:
      backward_kernel<4><<<grid, kThreads, 0, stream>>>(table, points, point_scale, n_points, dy, gradients);
      break;
    default:
      backward_kernel<8><<<grid, kThreads, 0, stream>>>(table, points, point_scale, n_points, dy, gradients);
  }
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::ops::cuda
