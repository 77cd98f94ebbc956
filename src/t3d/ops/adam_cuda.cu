#include "t3d/ops/adam_cuda.h"

#include <algorithm>

#include "t3d/ops/cuda_check.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kThreads = 256, kBlocks = 132 * 8;

/// One parameter's step, unless its gradient is one to skip.
__device__ __forceinline__ void update(const AdamFactors& k, bool zero_bad, float gradient, float& p,
                                       float& m, float& v) {
  if (k.skip_zero_gradients && gradient == 0.0f) return;
  float g = gradient * k.gradient_scale;
  if (zero_bad && !isfinite(g)) g = 0.0f;
  g += k.l2 * p;
  m = k.beta1 * m + k.one_minus_beta1 * g;
  v = k.beta2 * v + k.one_minus_beta2 * g * g;
  p = p * k.keep - k.step_size * m / (sqrtf(v * k.v_correction) + k.eps);
}

/// Two parameters to a thread, so that most of the table is left after one 8-byte read; the first thread
/// takes the last one of an odd number.
__global__ void adam_kernel(float* params, float* gradients, float* m, float* v, int64_t n, AdamFactors k,
                            AdamExtras extras) {
  const int64_t n_pairs = n / 2, thread = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x;
  for (int64_t i = thread; i < n_pairs; i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const float2 g = reinterpret_cast<const float2*>(gradients)[i];
    if (k.skip_zero_gradients && g.x == 0.0f && g.y == 0.0f) continue;
    float2 p = reinterpret_cast<const float2*>(params)[i], first = reinterpret_cast<const float2*>(m)[i],
           second = reinterpret_cast<const float2*>(v)[i];
    update(k, extras.zero_bad_gradients, g.x, p.x, first.x, second.x);
    update(k, extras.zero_bad_gradients, g.y, p.y, first.y, second.y);
    reinterpret_cast<float2*>(params)[i] = p;
    reinterpret_cast<float2*>(m)[i] = first;
    reinterpret_cast<float2*>(v)[i] = second;
    if (extras.half_params != nullptr)
      reinterpret_cast<__half2*>(extras.half_params)[i] = __floats2half2_rn(p.x, p.y);
    if (extras.clear_gradients) reinterpret_cast<float2*>(gradients)[i] = make_float2(0.0f, 0.0f);
  }
  if (n % 2 != 0 && thread == 0) {
    const int64_t i = n - 1;
    update(k, extras.zero_bad_gradients, gradients[i], params[i], m[i], v[i]);
    if (extras.half_params != nullptr) extras.half_params[i] = __float2half_rn(params[i]);
    if (extras.clear_gradients) gradients[i] = 0.0f;
  }
}

__global__ void round_kernel(const float* params, __half* half_params, int64_t n) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < n;
       i += static_cast<int64_t>(gridDim.x) * kThreads)
    half_params[i] = __float2half_rn(params[i]);
}

}  // namespace

void adam_step(float* params, float* gradients, float* m, float* v, int64_t n, const AdamFactors& factors,
               const AdamExtras& extras, cudaStream_t stream) {
  if (n == 0) return;
  for (const float* pointer : {params, gradients, m, v})
    T3D_CHECK(reinterpret_cast<uintptr_t>(pointer) % sizeof(float2) == 0, "Adam's buffers hold pairs");
  const auto n_blocks =
      static_cast<unsigned>(std::min<int64_t>(kBlocks, (n / 2 + kThreads) / kThreads));  // at least 1
  adam_kernel<<<n_blocks, kThreads, 0, stream>>>(params, gradients, m, v, n, factors, extras);
  T3D_CUDA(cudaGetLastError());
}

void round_to_half(const float* params, __half* half_params, int64_t n, cudaStream_t stream) {
  round_kernel<<<kBlocks, kThreads, 0, stream>>>(params, half_params, n);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::ops::cuda
