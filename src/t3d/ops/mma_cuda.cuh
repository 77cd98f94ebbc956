#pragma once

#include <cuda_fp16.h>

#include <cstdint>

/// Tensor-core tiles of 16x8 with half operands and float accumulators (PTX mma.sync m16n8k16, sm_80 and
/// later).
///
/// In a warp, with g = lane / 4 and q = lane % 4, the fragments are
///   A [16 rows, 16 k]:  a0 (g, 2q..2q+1)  a1 (g+8, 2q..)  a2 (g, 2q+8..)  a3 (g+8, 2q+8..)
///   B [16 k, 8 cols]:   b0 (k = 2q..2q+1, col g)           b1 (k = 2q+8.., col g)
///   C [16 rows, 8 cols]: c0 c1 (g, 2q..2q+1)               c2 c3 (g+8, 2q..)
/// so that two neighbouring C tiles, rounded to half, are the A tile of the next layer without leaving
/// registers.
namespace t3d::ops::cuda {

__device__ __forceinline__ void mma(float* c, const uint32_t* a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ uint32_t pack(float low, float high) {
  const __half2 h = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&h);
}

__device__ __forceinline__ uint32_t load_pair(const __half* p) {
  return *reinterpret_cast<const uint32_t*>(p);
}

/// Rows of padded weights in shared memory start 4 banks apart, which keeps the B loads free of conflicts.
constexpr int kPad = 8;

/// c [N/8][4] = A [16,K] * W^T with W [N,K] in shared memory, rows K + kPad apart.
template <int K, int N>
__device__ __forceinline__ void multiply(const uint32_t (*a)[4], const __half* weights, float (*c)[4]) {
  const int lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
#pragma unroll
  for (int j = 0; j < N / 8; ++j) {
    c[j][0] = c[j][1] = c[j][2] = c[j][3] = 0.0f;
    const __half* row = weights + (j * 8 + g) * (K + kPad) + 2 * q;
#pragma unroll
    for (int k = 0; k < K / 16; ++k) mma(c[j], a[k], load_pair(row + 16 * k), load_pair(row + 16 * k + 8));
  }
}

/// The A tiles of C tiles.
template <int N>
__device__ __forceinline__ void as_input(const float (*c)[4], uint32_t (*a)[4]) {
#pragma unroll
  for (int k = 0; k < N / 16; ++k) {
    a[k][0] = pack(c[2 * k][0], c[2 * k][1]);
    a[k][1] = pack(c[2 * k][2], c[2 * k][3]);
    a[k][2] = pack(c[2 * k + 1][0], c[2 * k + 1][1]);
    a[k][3] = pack(c[2 * k + 1][2], c[2 * k + 1][3]);
  }
}

template <int N>
__device__ __forceinline__ void relu(float (*c)[4]) {
#pragma unroll
  for (int j = 0; j < N / 8; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i) c[j][i] = fmaxf(c[j][i], 0.0f);
}

/// A tiles of rows `low` and `high` (lane's g and g+8) of a row-major half matrix of width W; null rows are
/// zero.
template <int W>
__device__ __forceinline__ void load_rows(const __half* low, const __half* high, uint32_t (*a)[4]) {
  const int q = threadIdx.x & 3;
#pragma unroll
  for (int k = 0; k < W / 16; ++k) {
    a[k][0] = low ? load_pair(low + 16 * k + 2 * q) : 0u;
    a[k][1] = high ? load_pair(high + 16 * k + 2 * q) : 0u;
    a[k][2] = low ? load_pair(low + 16 * k + 8 + 2 * q) : 0u;
    a[k][3] = high ? load_pair(high + 16 * k + 8 + 2 * q) : 0u;
  }
}

/// Stores A tiles as two rows of a row-major half matrix; null rows are left out.
template <int W>
__device__ __forceinline__ void store_rows(const uint32_t (*a)[4], __half* low, __half* high) {
  const int q = threadIdx.x & 3;
#pragma unroll
  for (int k = 0; k < W / 16; ++k) {
    if (low) {
      *reinterpret_cast<uint32_t*>(low + 16 * k + 2 * q) = a[k][0];
      *reinterpret_cast<uint32_t*>(low + 16 * k + 8 + 2 * q) = a[k][2];
    }
    if (high) {
      *reinterpret_cast<uint32_t*>(high + 16 * k + 2 * q) = a[k][1];
      *reinterpret_cast<uint32_t*>(high + 16 * k + 8 + 2 * q) = a[k][3];
    }
  }
}

/// Zeroes the elements of C tiles whose activation (A tiles of the same shape) is not positive.
template <int N>
__device__ __forceinline__ void mask_by(const uint32_t (*a)[4], float (*c)[4]) {
#pragma unroll
  for (int k = 0; k < N / 16; ++k)
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const float2 v = __half22float2(*reinterpret_cast<const __half2*>(&a[k][part]));
      float* pair = c[2 * k + (part >> 1)] + 2 * (part & 1);
      if (v.x <= 0.0f) pair[0] = 0.0f;
      if (v.y <= 0.0f) pair[1] = 0.0f;
    }
}

}  // namespace t3d::ops::cuda
