#include "t3d/ops/adam_cuda.h"

#include "t3d/ops/cuda_check.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kThreads = 256, kBlocks = 132 * 8;

__device__ __forceinline__ void update(const AdamSettings& s, float gradient, float& p, float& m, float& v) {
  float g = gradient * s.gradient_scale;
  if (!isfinite(g)) g = 0.0f;
  g += s.l2 * p;
  m = s.beta1 * m + (1.0f - s.beta1) * g;
  v = s.beta2 * v + (1.0f - s.beta2) * g * g;
  p -= s.rate * m / (sqrtf(v * s.v_scale) + s.eps);
}

/// Two parameters to a thread, so that most of the table is left after one 8-byte read.
__global__ void adam_kernel(float2* params, __half2* half_params, float2* gradients, float2* m, float2* v,
                            int64_t n_pairs, AdamSettings s) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < n_pairs;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const float2 g = gradients[i];
    if (s.skip_zero_gradients && g.x == 0.0f && g.y == 0.0f) continue;
    float2 p = params[i], first = m[i], second = v[i];
    if (!s.skip_zero_gradients || g.x != 0.0f) update(s, g.x, p.x, first.x, second.x);
    if (!s.skip_zero_gradients || g.y != 0.0f) update(s, g.y, p.y, first.y, second.y);
    params[i] = p;
    m[i] = first;
    v[i] = second;
    half_params[i] = __floats2half2_rn(p.x, p.y);
    gradients[i] = make_float2(0.0f, 0.0f);
  }
}

__global__ void round_kernel(const float* params, __half* half_params, int64_t n) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < n;
       i += static_cast<int64_t>(gridDim.x) * kThreads)
    half_params[i] = __float2half_rn(params[i]);
}

}  // namespace

void adam_step(float* params, __half* half_params, float* gradients, float* m, float* v, int64_t n,
               const AdamSettings& settings, cudaStream_t stream) {
  T3D_CHECK(n % 2 == 0, "an odd number of parameters");
  adam_kernel<<<kBlocks, kThreads, 0, stream>>>(
      reinterpret_cast<float2*>(params), reinterpret_cast<__half2*>(half_params),
      reinterpret_cast<float2*>(gradients), reinterpret_cast<float2*>(m), reinterpret_cast<float2*>(v), n / 2,
      settings);
  T3D_CUDA(cudaGetLastError());
}

void round_to_half(const float* params, __half* half_params, int64_t n, cudaStream_t stream) {
  round_kernel<<<kBlocks, kThreads, 0, stream>>>(params, half_params, n);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::ops::cuda
