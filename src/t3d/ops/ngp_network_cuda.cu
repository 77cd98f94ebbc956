#include "t3d/ops/ngp_network_cuda.h"

#include "t3d/ops/cuda_check.h"
#include "t3d/ops/mma_cuda.cuh"

namespace t3d::ops::cuda {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps, kBlocks = 132 * 4;
constexpr float kMaxLogDensity = 15.0f;

/// Copies a matrix [rows,cols] into shared memory with padded rows; rows from n_rows on are zero.
__device__ void stage(const __half* from, int rows, int n_rows, int cols, __half* to) {
  for (int i = threadIdx.x; i < n_rows * cols; i += kThreads) {
    const int r = i / cols, c = i % cols;
    to[r * (cols + kPad) + c] = r < rows ? from[i] : __half(0.0f);
  }
}

/// The transpose [cols,n_rows], padded alike.
__device__ void stage_transposed(const __half* from, int rows, int n_rows, int cols, __half* to) {
  for (int i = threadIdx.x; i < n_rows * cols; i += kThreads) {
    const int r = i / cols, c = i % cols;
    to[c * (n_rows + kPad) + r] = r < rows ? from[i] : __half(0.0f);
  }
}

template <int Rows, int Cols>
constexpr int kPadded = Rows*(Cols + kPad);

/// Spherical harmonics of degree 4, values 2q, 2q+1, 2q+8 and 2q+9, of a unit direction.
__device__ __forceinline__ void harmonics(const float* d, int q, uint32_t* low, uint32_t* high) {
  const float x = d[0], y = d[1], z = d[2], xx = x * x, yy = y * y, zz = z * z;
  switch (q) {
    case 0:
      *low = pack(0.28209479177f, -0.48860251190f * y);
      *high = pack(0.54627421529f * (xx - yy), 0.59004358993f * y * (yy - 3.0f * xx));
      break;
    case 1:
      *low = pack(0.48860251190f * z, -0.48860251190f * x);
      *high = pack(2.89061144264f * x * y * z, 0.45704579946f * y * (1.0f - 5.0f * zz));
      break;
    case 2:
      *low = pack(1.09254843059f * x * y, -1.09254843059f * y * z);
      *high = pack(0.37317633259f * z * (5.0f * zz - 3.0f), 0.45704579946f * x * (1.0f - 5.0f * zz));
      break;
    default:
      *low = pack(0.94617469576f * zz - 0.31539156525f, -1.09254843059f * x * z);
      *high = pack(1.44530572132f * z * (xx - yy), 0.59004358993f * x * (3.0f * yy - xx));
  }
}

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + __expf(-x));
}

__global__ void __launch_bounds__(kThreads)
    density_kernel(const __half* __restrict__ weights, const __half* __restrict__ features,
                   const uint32_t* n_points, float* __restrict__ sigma) {
  __shared__ __align__(16) __half w1[kPadded<64, 32>], w2[kPadded<8, 64>];
  stage(weights + kDensity1, 64, 64, 32, w1);
  stage(weights + kDensity2, 8, 8, 64, w2);
  __syncthreads();
  const uint32_t n = *n_points;
  const int lane = threadIdx.x & 31, g = lane >> 2;
  for (uint32_t row = (blockIdx.x * kWarps + threadIdx.x / 32) * 16; row < n;
       row += gridDim.x * kWarps * 16) {
    const uint32_t r0 = row + g, r1 = r0 + 8;
    uint32_t x[2][4], h[4][4];
    load_rows<32>(r0 < n ? features + static_cast<size_t>(r0) * 32 : nullptr,
                  r1 < n ? features + static_cast<size_t>(r1) * 32 : nullptr, x);
    float c[8][4];
    multiply<32, 64>(x, w1, c);
    relu<64>(c);
    as_input<64>(c, h);
    float out[1][4];
    multiply<64, 8>(h, w2, out);
    if ((lane & 3) == 0) {
      if (r0 < n) sigma[r0] = __expf(fminf(out[0][0], kMaxLogDensity));
      if (r1 < n) sigma[r1] = __expf(fminf(out[0][2], kMaxLogDensity));
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    forward_kernel(const __half* __restrict__ weights, const __half* __restrict__ features,
                   const uint32_t* __restrict__ source, const float* __restrict__ directions,
                   const uint32_t* __restrict__ ray, const uint32_t* n_points, float* __restrict__ sigma,
                   float* __restrict__ rgb, bool keep, NetworkActivations kept) {
  __shared__ __align__(16) __half d1[kPadded<64, 32>], d2[kPadded<16, 64>], c1[kPadded<64, 32>],
      c2[kPadded<64, 64>], c3[kPadded<8, 64>];
  stage(weights + kDensity1, 64, 64, 32, d1);
  stage(weights + kDensity2, 16, 16, 64, d2);
  stage(weights + kColour1, 64, 64, 32, c1);
  stage(weights + kColour2, 64, 64, 64, c2);
  stage(weights + kColour3, 3, 8, 64, c3);
  __syncthreads();
  const uint32_t n = *n_points;
  const int lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
  for (uint32_t row = (blockIdx.x * kWarps + threadIdx.x / 32) * 16; row < n;
       row += gridDim.x * kWarps * 16) {
    const uint32_t r0 = row + g, r1 = r0 + 8;
    const bool has0 = r0 < n, has1 = r1 < n;
    const auto row_of = [&](__half* base, uint32_t r, bool has, int width) {
      return keep && has ? base + static_cast<size_t>(r) * width : nullptr;
    };
    uint32_t x[2][4], h[4][4], geometry[1][4], input[2][4];
    const __half* from0 = has0 ? features + static_cast<size_t>(source ? source[r0] : r0) * 32 : nullptr;
    const __half* from1 = has1 ? features + static_cast<size_t>(source ? source[r1] : r1) * 32 : nullptr;
    load_rows<32>(from0, from1, x);
    store_rows<32>(x, row_of(kept.features, r0, has0, 32), row_of(kept.features, r1, has1, 32));
    float c[8][4], out[2][4];
    multiply<32, 64>(x, d1, c);
    relu<64>(c);
    as_input<64>(c, h);
    store_rows<64>(h, row_of(kept.density_hidden, r0, has0, 64), row_of(kept.density_hidden, r1, has1, 64));
    multiply<64, 16>(h, d2, out);
    as_input<16>(out, geometry);
    if (q == 0) {
      if (has0) sigma[r0] = __expf(fminf(out[0][0], kMaxLogDensity));
      if (has1) sigma[r1] = __expf(fminf(out[0][2], kMaxLogDensity));
    }
    input[0][0] = input[0][1] = input[0][2] = input[0][3] = 0u;
    if (has0) harmonics(directions + 3 * static_cast<size_t>(ray[r0]), q, &input[0][0], &input[0][2]);
    if (has1) harmonics(directions + 3 * static_cast<size_t>(ray[r1]), q, &input[0][1], &input[0][3]);
#pragma unroll
    for (int i = 0; i < 4; ++i) input[1][i] = geometry[0][i];
    store_rows<32>(input, row_of(kept.colour_input, r0, has0, 32), row_of(kept.colour_input, r1, has1, 32));
    multiply<32, 64>(input, c1, c);
    relu<64>(c);
    as_input<64>(c, h);
    store_rows<64>(h, row_of(kept.colour_hidden1, r0, has0, 64), row_of(kept.colour_hidden1, r1, has1, 64));
    multiply<64, 64>(h, c2, c);
    relu<64>(c);
    as_input<64>(c, h);
    store_rows<64>(h, row_of(kept.colour_hidden2, r0, has0, 64), row_of(kept.colour_hidden2, r1, has1, 64));
    multiply<64, 8>(h, c3, out);
    if (q < 2) {
      float* p0 = rgb + 3 * static_cast<size_t>(r0) + 2 * q;
      float* p1 = rgb + 3 * static_cast<size_t>(r1) + 2 * q;
      if (has0) p0[0] = sigmoid(out[0][0]);
      if (has1) p1[0] = sigmoid(out[0][2]);
      if (q == 0) {
        if (has0) p0[1] = sigmoid(out[0][1]);
        if (has1) p1[1] = sigmoid(out[0][3]);
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    backward_kernel(const __half* __restrict__ weights, NetworkActivations kept,
                    const float* __restrict__ rgb, const float* __restrict__ sigma,
                    const float* __restrict__ d_sigma, const float* __restrict__ d_rgb,
                    const uint32_t* n_points, NetworkGradients gradients) {
  __shared__ __align__(16) __half c3[kPadded<64, 16>], c2[kPadded<64, 64>], c1[kPadded<16, 64>],
      d2[kPadded<64, 16>], d1[kPadded<32, 64>];
  stage_transposed(weights + kColour3, 3, 16, 64, c3);
  stage_transposed(weights + kColour2, 64, 64, 64, c2);
  stage_transposed(weights + kDensity2, 16, 16, 64, d2);
  stage_transposed(weights + kDensity1, 64, 64, 32, d1);
  // Of the colour network's inputs only the density network's outputs pass a gradient on.
  for (int i = threadIdx.x; i < 64 * 16; i += kThreads)
    c1[(i % 16) * (64 + kPad) + i / 16] = weights[kColour1 + (i / 16) * 32 + 16 + i % 16];
  __syncthreads();
  const uint32_t n = *n_points;
  const int lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
  for (uint32_t row = (blockIdx.x * kWarps + threadIdx.x / 32) * 16; row < n;
       row += gridDim.x * kWarps * 16) {
    const uint32_t r0 = row + g, r1 = r0 + 8;
    const bool has0 = r0 < n, has1 = r1 < n;
    const auto at = [&](__half* base, uint32_t r, bool has, int width) {
      return has ? base + static_cast<size_t>(r) * width : nullptr;
    };
    uint32_t d_out[1][4] = {{0u, 0u, 0u, 0u}}, a[4][4], d[4][4];
    const auto rgb_gradient = [&](uint32_t r, int channel) {
      if (channel > 2) return 0.0f;
      const float v = rgb[3 * static_cast<size_t>(r) + channel];
      return d_rgb[3 * static_cast<size_t>(r) + channel] * v * (1.0f - v);
    };
    if (has0) d_out[0][0] = pack(rgb_gradient(r0, 2 * q), rgb_gradient(r0, 2 * q + 1));
    if (has1) d_out[0][1] = pack(rgb_gradient(r1, 2 * q), rgb_gradient(r1, 2 * q + 1));
    store_rows<16>(d_out, at(gradients.rgb, r0, has0, 16), at(gradients.rgb, r1, has1, 16));
    float c[8][4];
    multiply<16, 64>(d_out, c3, c);
    load_rows<64>(at(kept.colour_hidden2, r0, has0, 64), at(kept.colour_hidden2, r1, has1, 64), a);
    mask_by<64>(a, c);
    as_input<64>(c, d);
    store_rows<64>(d, at(gradients.colour_hidden2, r0, has0, 64), at(gradients.colour_hidden2, r1, has1, 64));
    multiply<64, 64>(d, c2, c);
    load_rows<64>(at(kept.colour_hidden1, r0, has0, 64), at(kept.colour_hidden1, r1, has1, 64), a);
    mask_by<64>(a, c);
    as_input<64>(c, d);
    store_rows<64>(d, at(gradients.colour_hidden1, r0, has0, 64), at(gradients.colour_hidden1, r1, has1, 64));
    float geometry[2][4];
    multiply<64, 16>(d, c1, geometry);
    if (q == 0) {  // log density is output 0
      if (has0) geometry[0][0] += fminf(fmaxf(d_sigma[r0] * sigma[r0], -3e4f), 3e4f);
      if (has1) geometry[0][2] += fminf(fmaxf(d_sigma[r1] * sigma[r1], -3e4f), 3e4f);
    }
    uint32_t d_geometry[1][4];
    as_input<16>(geometry, d_geometry);
    store_rows<16>(d_geometry, at(gradients.geometry, r0, has0, 16), at(gradients.geometry, r1, has1, 16));
    multiply<16, 64>(d_geometry, d2, c);
    load_rows<64>(at(kept.density_hidden, r0, has0, 64), at(kept.density_hidden, r1, has1, 64), a);
    mask_by<64>(a, c);
    as_input<64>(c, d);
    store_rows<64>(d, at(gradients.density_hidden, r0, has0, 64), at(gradients.density_hidden, r1, has1, 64));
    float f[4][4];
    uint32_t d_features[2][4];
    multiply<64, 32>(d, d1, f);
    as_input<32>(f, d_features);
    store_rows<32>(d_features, at(gradients.features, r0, has0, 32), at(gradients.features, r1, has1, 32));
  }
}

__device__ __forceinline__ void load_matrix_transposed4(uint32_t* r, const __half* p) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(p));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

__device__ __forceinline__ void load_matrix_transposed2(uint32_t* r, const __half* p) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(p));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(address));
}

constexpr int kRowsPerTile = 64;

/// dW [OUT,IN] += dY^T X over all rows, dY [n,OUT], X [n,IN]; only the first n_out rows of dW exist.
/// Each warp keeps its part of dW in registers over all tiles of its block.
template <int OUT, int IN>
__global__ void __launch_bounds__(kThreads)
    weight_kernel(const __half* __restrict__ dy, const __half* __restrict__ x, const uint32_t* n_points,
                  int n_out, float* __restrict__ dw) {
  // 16 rows of dW to a warp, or, where there are only 16, a quarter of the columns.
  constexpr bool kSplitRows = OUT == 64;
  constexpr int kTiles = kSplitRows ? IN / 8 : IN / 8 / kWarps;
  __shared__ __align__(16) __half ys[kRowsPerTile * (OUT + kPad)], xs[kRowsPerTile * (IN + kPad)];
  const uint32_t n = *n_points;
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const int first_row = kSplitRows ? 16 * warp : 0, first_col = kSplitRows ? 0 : kTiles * 8 * warp;
  float c[kTiles][4] = {};
  for (uint32_t tile = blockIdx.x * kRowsPerTile; tile < n; tile += gridDim.x * kRowsPerTile) {
    __syncthreads();
    for (int i = threadIdx.x; i < kRowsPerTile * OUT / 8; i += kThreads) {
      const int r = i / (OUT / 8), col = 8 * (i % (OUT / 8));
      *reinterpret_cast<uint4*>(ys + r * (OUT + kPad) + col) =
          tile + r < n ? *reinterpret_cast<const uint4*>(dy + static_cast<size_t>(tile + r) * OUT + col)
                       : make_uint4(0, 0, 0, 0);
    }
    for (int i = threadIdx.x; i < kRowsPerTile * IN / 8; i += kThreads) {
      const int r = i / (IN / 8), col = 8 * (i % (IN / 8));
      *reinterpret_cast<uint4*>(xs + r * (IN + kPad) + col) =
          tile + r < n ? *reinterpret_cast<const uint4*>(x + static_cast<size_t>(tile + r) * IN + col)
                       : make_uint4(0, 0, 0, 0);
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kRowsPerTile; k += 16) {
      uint32_t a[4];
      load_matrix_transposed4(
          a, ys + (k + (lane >> 4) * 8 + (lane & 7)) * (OUT + kPad) + first_row + ((lane >> 3) & 1) * 8);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
        uint32_t b[2];
        load_matrix_transposed2(b, xs + (k + (lane & 15)) * (IN + kPad) + first_col + 8 * j);
        mma(c[j], a, b[0], b[1]);
      }
    }
  }
  const int g = lane >> 2, q = lane & 3;
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
    const int col = first_col + 8 * j + 2 * q;
    for (int half = 0; half < 2; ++half) {
      const int r = first_row + g + 8 * half;
      if (r >= n_out) continue;
      atomicAdd(dw + r * IN + col, c[j][2 * half]);
      atomicAdd(dw + r * IN + col + 1, c[j][2 * half + 1]);
    }
  }
}

}  // namespace

void density_forward(const __half* weights, const __half* features, const uint32_t* n_points, float* sigma,
                     cudaStream_t stream) {
  density_kernel<<<kBlocks, kThreads, 0, stream>>>(weights, features, n_points, sigma);
  T3D_CUDA(cudaGetLastError());
}

void network_forward(const __half* weights, const __half* features, const uint32_t* source,
                     const float* directions, const uint32_t* ray, const uint32_t* n_points, float* sigma,
                     float* rgb, const NetworkActivations* kept, cudaStream_t stream) {
  forward_kernel<<<kBlocks, kThreads, 0, stream>>>(weights, features, source, directions, ray, n_points,
                                                   sigma, rgb, kept != nullptr,
                                                   kept != nullptr ? *kept : NetworkActivations{});
  T3D_CUDA(cudaGetLastError());
}

void network_backward(const __half* weights, const NetworkActivations& kept, const float* rgb,
                      const float* sigma, const float* d_sigma, const float* d_rgb, const uint32_t* n_points,
                      const NetworkGradients& gradients, cudaStream_t stream) {
  backward_kernel<<<kBlocks, kThreads, 0, stream>>>(weights, kept, rgb, sigma, d_sigma, d_rgb, n_points,
                                                    gradients);
  T3D_CUDA(cudaGetLastError());
}

void network_weight_gradients(const NetworkActivations& kept, const NetworkGradients& d,
                              const uint32_t* n_points, float* d_weights, cudaStream_t stream) {
  constexpr int kGrid = 264;
  weight_kernel<64, 32>
      <<<kGrid, kThreads, 0, stream>>>(d.density_hidden, kept.features, n_points, 64, d_weights + kDensity1);
  weight_kernel<16, 64>
      <<<kGrid, kThreads, 0, stream>>>(d.geometry, kept.density_hidden, n_points, 16, d_weights + kDensity2);
  weight_kernel<64, 32><<<kGrid, kThreads, 0, stream>>>(d.colour_hidden1, kept.colour_input, n_points, 64,
                                                        d_weights + kColour1);
  weight_kernel<64, 64><<<kGrid, kThreads, 0, stream>>>(d.colour_hidden2, kept.colour_hidden1, n_points, 64,
                                                        d_weights + kColour2);
  weight_kernel<16, 64>
      <<<kGrid, kThreads, 0, stream>>>(d.rgb, kept.colour_hidden2, n_points, 3, d_weights + kColour3);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::ops::cuda
