#include "t3d/ops/cuda_check.h"
#include "t3d/ops/hash_grid_float_cuda.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxLevels = 32;

struct Table {
  int n_levels, n_active, n_features;
  bool smoothstep;
  float scale[kMaxLevels];
  uint32_t resolution[kMaxLevels], n_entries[kMaxLevels], first_entry[kMaxLevels];
  bool is_dense[kMaxLevels];
};

Table table_of(const HashGridLayout& layout, int n_active) {
  Table t{};
  t.n_levels = layout.config.n_levels;
  t.n_active = n_active < 0 ? t.n_levels : n_active;
  t.n_features = layout.config.n_features;
  t.smoothstep = layout.config.interpolation == Interpolation::Smoothstep;
  for (int l = 0; l < t.n_levels; ++l) {
    const HashGridLevel& level = layout.levels[l];
    t.scale[l] = level.scale;
    t.resolution[l] = level.resolution;
    t.n_entries[l] = level.n_entries;
    t.first_entry[l] = level.first_entry;
    t.is_dense[l] = level.is_dense;
  }
  return t;
}

/// A point inside its cell of one level: blending fractions, their derivatives by x, the cell's corner.
template <class T, int D>
struct Cell {
  uint32_t base[D];
  T f[D], df[D], d2f[D];

  __device__ Cell(const Table& t, int level, const T* x) {
    const T scale = t.scale[level];
#pragma unroll
    for (int d = 0; d < D; ++d) {
      const T p = fma(x[d], scale, T(0.5)), floored = floor(p), u = p - floored;
      const bool fits = floored >= T(-2147483648.0) && floored < T(2147483648.0);
      base[d] = static_cast<uint32_t>(fits ? static_cast<int32_t>(floored) : INT32_MIN);
      f[d] = t.smoothstep ? u * u * (3 - 2 * u) : u;
      df[d] = t.smoothstep ? 6 * u * (1 - u) * scale : scale;
      d2f[d] = t.smoothstep ? (6 - 12 * u) * scale * scale : T(0);
    }
  }

  __device__ T w(int corner, int d) const {
    return (corner >> d) & 1 ? f[d] : 1 - f[d];
  }
  __device__ T dw(int corner, int d) const {
    return (corner >> d) & 1 ? df[d] : -df[d];
  }
  __device__ T d2w(int corner, int d) const {
    return (corner >> d) & 1 ? d2f[d] : -d2f[d];
  }

  __device__ T weight(int corner) const {
    T product = 1;
#pragma unroll
    for (int d = 0; d < D; ++d) product *= w(corner, d);
    return product;
  }
  /// Derivative of the weight along axis i.
  __device__ T d_weight(int corner, int i) const {
    T product = 1;
#pragma unroll
    for (int d = 0; d < D; ++d) product *= d == i ? dw(corner, d) : w(corner, d);
    return product;
  }
  __device__ T d2_weight(int corner, int i, int j) const {
    T product = 1;
#pragma unroll
    for (int d = 0; d < D; ++d)
      product *= d == i && d == j ? d2w(corner, d) : d == i || d == j ? dw(corner, d) : w(corner, d);
    return product;
  }

  /// First parameter of the corner's entry.
  __device__ int64_t at(const Table& t, int level, int corner) const {
    constexpr uint32_t kPrimes[4] = {1u, 2654435761u, 805459861u, 3674653429u};
    uint32_t index = 0, stride = 1;
#pragma unroll
    for (int d = 0; d < D; ++d) {
      const uint32_t vertex = base[d] + ((corner >> d) & 1);
      if (t.is_dense[level]) {
        index += vertex * stride;
        stride *= t.resolution[level];
      } else {
        index ^= vertex * kPrimes[d];
      }
    }
    return (int64_t{t.first_entry[level]} + index % t.n_entries[level]) * t.n_features;
  }
};

/// A thread for each sample of a level (blockIdx.y).
template <class T, int D>
__global__ void forward_kernel(const __grid_constant__ Table t, const T* __restrict__ params,
                               const T* __restrict__ x, int64_t n, T* __restrict__ y) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  const int level = blockIdx.y;
  if (i >= n) return;
  T* out = y + (i * t.n_levels + level) * t.n_features;
  for (int f = 0; f < t.n_features; ++f) out[f] = 0;
  if (level >= t.n_active) return;
  const Cell<T, D> cell(t, level, x + i * D);
  for (int corner = 0; corner < 1 << D; ++corner) {
    const T weight = cell.weight(corner);
    const T* entry = params + cell.at(t, level, corner);
    for (int f = 0; f < t.n_features; ++f) out[f] += weight * entry[f];
  }
}

template <class T, int D>
__global__ void backward_params_kernel(const __grid_constant__ Table t, const T* __restrict__ x, int64_t n,
                                       const T* __restrict__ dy, T* __restrict__ dparams) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  const int level = blockIdx.y;
  if (i >= n || level >= t.n_active) return;
  const Cell<T, D> cell(t, level, x + i * D);
  const T* from = dy + (i * t.n_levels + level) * t.n_features;
  for (int corner = 0; corner < 1 << D; ++corner) {
    const T weight = cell.weight(corner);
    T* entry = dparams + cell.at(t, level, corner);
    for (int f = 0; f < t.n_features; ++f) atomicAdd(entry + f, weight * from[f]);
  }
}

/// A thread for each sample walks all levels, so that dx is summed in one order.
template <class T, int D>
__global__ void backward_input_kernel(const __grid_constant__ Table t, const T* __restrict__ params,
                                      const T* __restrict__ x, int64_t n, const T* __restrict__ dy,
                                      T* __restrict__ dx) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= n) return;
  T sum[D] = {};
  for (int level = 0; level < t.n_active; ++level) {
    const Cell<T, D> cell(t, level, x + i * D);
    const T* from = dy + (i * t.n_levels + level) * t.n_features;
    for (int corner = 0; corner < 1 << D; ++corner) {
      const T* entry = params + cell.at(t, level, corner);
      T value = 0;
      for (int f = 0; f < t.n_features; ++f) value += entry[f] * from[f];
#pragma unroll
      for (int d = 0; d < D; ++d) sum[d] += cell.d_weight(corner, d) * value;
    }
  }
  for (int d = 0; d < D; ++d) dx[i * D + d] = sum[d];
}

template <class T, int D>
__global__ void backward_backward_kernel(const __grid_constant__ Table t, const T* __restrict__ params,
                                         const T* __restrict__ x, int64_t n, const T* __restrict__ dy,
                                         const T* __restrict__ v, T* __restrict__ ddy,
                                         T* __restrict__ dparams, T* __restrict__ dx2) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= n) return;
  T direction[D], sum[D] = {};
  for (int d = 0; d < D; ++d) direction[d] = v[i * D + d];
  for (int level = 0; level < t.n_levels; ++level) {
    const int64_t row = (i * t.n_levels + level) * t.n_features;
    if (ddy != nullptr)
      for (int f = 0; f < t.n_features; ++f) ddy[row + f] = 0;
    if (level >= t.n_active) continue;
    const Cell<T, D> cell(t, level, x + i * D);
    for (int corner = 0; corner < 1 << D; ++corner) {
      T along = 0, d_along[D] = {};  // the weight's derivative along v, and that one's gradient
#pragma unroll
      for (int d = 0; d < D; ++d) {
        along += cell.d_weight(corner, d) * direction[d];
#pragma unroll
        for (int e = 0; e < D; ++e) d_along[d] += cell.d2_weight(corner, d, e) * direction[e];
      }
      const int64_t at = cell.at(t, level, corner);
      T value = 0;
      for (int f = 0; f < t.n_features; ++f) {
        const T p = params[at + f], g = dy[row + f];
        if (ddy != nullptr) ddy[row + f] += along * p;
        if (dparams != nullptr) atomicAdd(dparams + at + f, along * g);
        value += p * g;
      }
#pragma unroll
      for (int d = 0; d < D; ++d) sum[d] += d_along[d] * value;
    }
  }
  if (dx2 != nullptr)
    for (int d = 0; d < D; ++d) dx2[i * D + d] = sum[d];
}

unsigned blocks_for(int64_t n) {
  return static_cast<unsigned>((n + kThreads - 1) / kThreads);
}

/// Calls launch(std::integral_constant<int, D>) for the layout's D.
template <class Launch>
void with_dims(const HashGridLayout& layout, const Launch& launch) {
  if (layout.config.n_dims == 2) launch(std::integral_constant<int, 2>());
  if (layout.config.n_dims == 3) launch(std::integral_constant<int, 3>());
  if (layout.config.n_dims == 4) launch(std::integral_constant<int, 4>());
  T3D_CUDA(cudaGetLastError());
}

}  // namespace

template <class T>
void grid_forward(const HashGridLayout& layout, const T* params, const T* x, int64_t n, T* y, int n_active,
                  cudaStream_t stream) {
  if (n == 0) return;
  const Table t = table_of(layout, n_active);
  const dim3 blocks(blocks_for(n), static_cast<unsigned>(t.n_levels));
  with_dims(layout,
            [&](auto d) { forward_kernel<T, d()><<<blocks, kThreads, 0, stream>>>(t, params, x, n, y); });
}

template <class T>
void grid_backward_params(const HashGridLayout& layout, const T* x, int64_t n, const T* dy, T* dparams,
                          int n_active, cudaStream_t stream) {
  if (n == 0) return;
  const Table t = table_of(layout, n_active);
  const dim3 blocks(blocks_for(n), static_cast<unsigned>(t.n_levels));
  with_dims(layout, [&](auto d) {
    backward_params_kernel<T, d()><<<blocks, kThreads, 0, stream>>>(t, x, n, dy, dparams);
  });
}

template <class T>
void grid_backward_input(const HashGridLayout& layout, const T* params, const T* x, int64_t n, const T* dy,
                         T* dx, int n_active, cudaStream_t stream) {
  if (n == 0) return;
  const Table t = table_of(layout, n_active);
  with_dims(layout, [&](auto d) {
    backward_input_kernel<T, d()><<<blocks_for(n), kThreads, 0, stream>>>(t, params, x, n, dy, dx);
  });
}

template <class T>
void grid_backward_backward_input(const HashGridLayout& layout, const T* params, const T* x, int64_t n,
                                  const T* dy, const T* v, T* ddy, T* dparams, T* dx2, int n_active,
                                  cudaStream_t stream) {
  if (n == 0) return;
  const Table t = table_of(layout, n_active);
  with_dims(layout, [&](auto d) {
    backward_backward_kernel<T, d()>
        <<<blocks_for(n), kThreads, 0, stream>>>(t, params, x, n, dy, v, ddy, dparams, dx2);
  });
}

#define T3D_GRID_TYPE(T)                                                                                    \
  template void grid_forward<T>(const HashGridLayout&, const T*, const T*, int64_t, T*, int, cudaStream_t); \
  template void grid_backward_params<T>(const HashGridLayout&, const T*, int64_t, const T*, T*, int,        \
                                        cudaStream_t);                                                      \
  template void grid_backward_input<T>(const HashGridLayout&, const T*, const T*, int64_t, const T*, T*,    \
                                       int, cudaStream_t);                                                  \
  template void grid_backward_backward_input<T>(const HashGridLayout&, const T*, const T*, int64_t,         \
                                                const T*, const T*, T*, T*, T*, int, cudaStream_t);
T3D_GRID_TYPE(float)
T3D_GRID_TYPE(double)

}  // namespace t3d::ops::cuda
