#include "t3d/ops/group_norm_cuda.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>

#include "t3d/ops/cuda_check.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kWide = 8;  // channels of a thread: 16-byte loads of half precision
constexpr int kThreads = 256;
constexpr int kMostChunks = 64;

__device__ float to_float(__half x) {
  return __half2float(x);
}
__device__ float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ float to_float(float x) {
  return x;
}
__device__ void assign(__half& to, float x) {
  to = __float2half_rn(x);
}
__device__ void assign(__nv_bfloat16& to, float x) {
  to = __float2bfloat16_rn(x);
}
__device__ void assign(float& to, float x) {
  to = x;
}

/// Eight numbers in a row, aligned.
template <class T>
struct alignas(sizeof(T) == 2 ? 16 : 32) Eight {
  T v[kWide];
};

template <class T>
__device__ void load(const T* from, float* to) {
  const Eight<T> in = *reinterpret_cast<const Eight<T>*>(from);
#pragma unroll
  for (int j = 0; j < kWide; ++j) to[j] = to_float(in.v[j]);
}

template <class T>
__device__ void store(T* to, const float* from) {
  Eight<T> out;
#pragma unroll
  for (int j = 0; j < kWide; ++j) assign(out.v[j], from[j]);
  *reinterpret_cast<Eight<T>*>(to) = out;
}

/// What a thread works on: eight channels of every blockDim.y-th pixel of the block's chunk.
struct Part {
  int64_t first_pixel, last_pixel, picture;
  int channel;

  __device__ explicit Part(const GroupNormShape& s) {
    const int64_t length = (s.pixels + gridDim.x - 1) / gridDim.x, begin = blockIdx.x * length;
    first_pixel = begin + threadIdx.y;
    last_pixel = begin + length < s.pixels ? begin + length : s.pixels;
    picture = blockIdx.y * s.pixels * s.channels;
    channel = static_cast<int>(threadIdx.x) * kWide;
  }
  __device__ int64_t at(const GroupNormShape& s, int64_t pixel) const {
    return picture + pixel * s.channels + channel;
  }
};

__device__ int flat_thread() {
  return static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
}
__device__ int flat_threads() {
  return static_cast<int>(blockDim.x * blockDim.y);
}

/// Adds up what the block's rows of threads found for each channel, in a fixed order. lanes is
/// [rows,channels,2]; its first row gets the sums.
__device__ void add_rows(float* lanes, const Part& part, int channels, const float* a, const float* b) {
#pragma unroll
  for (int j = 0; j < kWide; ++j) {
    float* to = lanes + 2 * (threadIdx.y * channels + part.channel + j);
    to[0] = a[j];
    to[1] = b[j];
  }
  __syncthreads();
  for (int i = flat_thread(); i < 2 * channels; i += flat_threads()) {
    float sum = 0;
    for (unsigned r = 0; r < blockDim.y; ++r) sum += lanes[r * 2 * channels + i];
    lanes[i] = sum;
  }
  __syncthreads();
}

/// A value near the group's: sums of differences to it keep their digits when the mean is far from zero.
template <class T>
__device__ float pivot(const GroupNormShape& s, const T* x, int64_t picture, int group) {
  return to_float(x[picture + group * (s.channels / s.groups)]);
}

template <class T>
__global__ void sum_kernel(GroupNormShape s, const T* x, float* partial) {
  extern __shared__ float lanes[];
  const Part part(s);
  const int per_group = s.channels / s.groups;
  float near[kWide], sum[kWide] = {}, squares[kWide] = {}, in[kWide];
#pragma unroll
  for (int j = 0; j < kWide; ++j) near[j] = pivot(s, x, part.picture, (part.channel + j) / per_group);
  for (int64_t p = part.first_pixel; p < part.last_pixel; p += blockDim.y) {
    load(x + part.at(s, p), in);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float d = in[j] - near[j];
      sum[j] += d;
      squares[j] += d * d;
    }
  }
  add_rows(lanes, part, s.channels, sum, squares);
  float* to = partial + (blockIdx.y * int64_t{gridDim.x} + blockIdx.x) * 2 * s.groups;
  for (int i = flat_thread(); i < 2 * s.groups; i += flat_threads()) {
    float total = 0;
    for (int c = 0; c < per_group; ++c) total += lanes[2 * ((i / 2) * per_group + c) + i % 2];
    to[i] = total;
  }
}

template <class T>
__global__ void apply_kernel(GroupNormShape s, const T* x, const T* weight, const T* bias,
                             const float* partial, float* statistics, T* y) {
  extern __shared__ float moments[];  // [groups,2]
  const Part part(s);
  const int per_group = s.channels / s.groups;
  const float share = 1.0f / (static_cast<float>(s.pixels) * static_cast<float>(per_group));
  for (int g = flat_thread(); g < s.groups; g += flat_threads()) {
    float sum = 0, squares = 0;
    for (unsigned k = 0; k < gridDim.x; ++k) {
      const float* from = partial + ((blockIdx.y * int64_t{gridDim.x} + k) * s.groups + g) * 2;
      sum += from[0];
      squares += from[1];
    }
    const float shift = sum * share;
    const float mean = pivot(s, x, part.picture, g) + shift;
    const float scale = rsqrtf(fmaxf(squares * share - shift * shift, 0.0f) + s.eps);
    moments[2 * g] = mean;
    moments[2 * g + 1] = scale;
    if (blockIdx.x == 0) {
      statistics[(blockIdx.y * s.groups + g) * 2] = mean;
      statistics[(blockIdx.y * s.groups + g) * 2 + 1] = scale;
    }
  }
  __syncthreads();
  float mean[kWide], slope[kWide], offset[kWide], in[kWide];
  load(weight + part.channel, slope);
  load(bias + part.channel, offset);
#pragma unroll
  for (int j = 0; j < kWide; ++j) {
    const int g = (part.channel + j) / per_group;
    mean[j] = moments[2 * g];
    slope[j] *= moments[2 * g + 1];
  }
  for (int64_t p = part.first_pixel; p < part.last_pixel; p += blockDim.y) {
    load(x + part.at(s, p), in);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float z = (in[j] - mean[j]) * slope[j] + offset[j];
      in[j] = s.with_silu ? z / (1.0f + __expf(-z)) : z;
    }
    store(y + part.at(s, p), in);
  }
}

/// A thread's eight channels in the backward pass.
struct Channels {
  float mean[kWide], scale[kWide], weight[kWide], bias[kWide];

  template <class T>
  __device__ Channels(const GroupNormShape& s, const Part& part, const float* statistics, const T* weights,
                      const T* biases) {
    load(weights + part.channel, weight);
    load(biases + part.channel, bias);
    const int per_group = s.channels / s.groups;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float* of = statistics + (blockIdx.y * s.groups + (part.channel + j) / per_group) * 2;
      mean[j] = of[0];
      scale[j] = of[1];
    }
  }

  /// x and dy become the normalised x and dz.
  __device__ void turn(bool with_silu, float* x, float* dy) const {
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      x[j] = (x[j] - mean[j]) * scale[j];
      if (!with_silu) continue;
      const float z = x[j] * weight[j] + bias[j], s = 1.0f / (1.0f + __expf(-z));
      dy[j] *= s * (1.0f + z * (1.0f - s));
    }
  }
};

template <class T>
__global__ void adjoint_sum_kernel(GroupNormShape s, const T* x, const T* weight, const T* bias,
                                   const float* statistics, const T* dy, float* partial) {
  extern __shared__ float lanes[];
  const Part part(s);
  const Channels channels(s, part, statistics, weight, bias);
  float of_bias[kWide] = {}, of_weight[kWide] = {}, in[kWide], out[kWide];
  for (int64_t p = part.first_pixel; p < part.last_pixel; p += blockDim.y) {
    load(x + part.at(s, p), in);
    load(dy + part.at(s, p), out);
    channels.turn(s.with_silu, in, out);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      of_bias[j] += out[j];
      of_weight[j] += out[j] * in[j];
    }
  }
  add_rows(lanes, part, s.channels, of_bias, of_weight);
  float* to = partial + (blockIdx.y * int64_t{gridDim.x} + blockIdx.x) * 2 * s.channels;
  for (int i = flat_thread(); i < 2 * s.channels; i += flat_threads()) to[i] = lanes[i];
}

template <class T>
__global__ void adjoint_kernel(GroupNormShape s, const T* x, const T* weight, const T* bias,
                               const float* statistics, const T* dy, const float* partial, T* dx) {
  extern __shared__ float sums[];  // [channels,2], then [groups,2]
  float* of_group = sums + 2 * s.channels;
  const Part part(s);
  const int per_group = s.channels / s.groups;
  const float share = 1.0f / (static_cast<float>(s.pixels) * static_cast<float>(per_group));
  for (int i = flat_thread(); i < 2 * s.channels; i += flat_threads()) {
    float sum = 0;
    for (unsigned k = 0; k < gridDim.x; ++k)
      sum += partial[(blockIdx.y * int64_t{gridDim.x} + k) * 2 * s.channels + i];
    sums[i] = sum * to_float(weight[i / 2]);
  }
  __syncthreads();
  for (int i = flat_thread(); i < 2 * s.groups; i += flat_threads()) {
    float sum = 0;
    for (int c = 0; c < per_group; ++c) sum += sums[2 * ((i / 2) * per_group + c) + i % 2];
    of_group[i] = sum * share;
  }
  __syncthreads();
  const Channels channels(s, part, statistics, weight, bias);
  float in[kWide], out[kWide];
  for (int64_t p = part.first_pixel; p < part.last_pixel; p += blockDim.y) {
    load(x + part.at(s, p), in);
    load(dy + part.at(s, p), out);
    channels.turn(s.with_silu, in, out);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const int g = (part.channel + j) / per_group;
      out[j] =
          channels.scale[j] * (channels.weight[j] * out[j] - of_group[2 * g] - in[j] * of_group[2 * g + 1]);
    }
    store(dx + part.at(s, p), out);
  }
}

struct Launch {
  dim3 grid, block;
  size_t lanes;  // bytes of [rows,channels,2]

  explicit Launch(const GroupNormShape& s)
      : grid(static_cast<unsigned>(group_norm_chunks(s)), static_cast<unsigned>(s.n)) {
    const int across = s.channels / kWide, rows = std::max(1, kThreads / across);
    block = dim3(static_cast<unsigned>(across), static_cast<unsigned>(rows));
    lanes = sizeof(float) * 2 * static_cast<size_t>(rows) * static_cast<size_t>(s.channels);
  }
};

template <class Body>
void with_type(Real type, const Body& body) {
  if (type == Real::Half)
    body(__half{});
  else if (type == Real::BFloat16)
    body(__nv_bfloat16{});
  else
    body(0.0f);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace

int group_norm_chunks(const GroupNormShape& s) {
  constexpr int64_t kBlocks = 528;  // four for each multiprocessor of a large card
  const int64_t rows = std::max(1, kThreads / (s.channels / kWide));
  const int64_t most = std::min<int64_t>(kMostChunks, (s.pixels + rows - 1) / rows);
  return static_cast<int>(std::clamp<int64_t>(kBlocks / std::max<int64_t>(1, s.n), 1, most));
}

void group_norm(const GroupNormShape& s, Real type, const void* x, const void* weight, const void* bias,
                float* partial, float* statistics, void* y, cudaStream_t stream) {
  if (s.n == 0 || s.pixels == 0) return;
  const Launch launch(s);
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    const auto* in = static_cast<const T*>(x);
    sum_kernel<T><<<launch.grid, launch.block, launch.lanes, stream>>>(s, in, partial);
    apply_kernel<T><<<launch.grid, launch.block, 2 * sizeof(float) * s.groups, stream>>>(
        s, in, static_cast<const T*>(weight), static_cast<const T*>(bias), partial, statistics,
        static_cast<T*>(y));
  });
}

void group_norm_adjoint(const GroupNormShape& s, Real type, const void* x, const void* weight,
                        const void* bias, const float* statistics, const void* dy, float* partial, void* dx,
                        cudaStream_t stream) {
  if (s.n == 0 || s.pixels == 0) return;
  const Launch launch(s);
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    const auto *in = static_cast<const T*>(x), *w = static_cast<const T*>(weight),
               *b = static_cast<const T*>(bias), *out = static_cast<const T*>(dy);
    adjoint_sum_kernel<T>
        <<<launch.grid, launch.block, launch.lanes, stream>>>(s, in, w, b, statistics, out, partial);
    adjoint_kernel<T><<<launch.grid, launch.block, 2 * sizeof(float) * (s.channels + s.groups), stream>>>(
        s, in, w, b, statistics, out, partial, static_cast<T*>(dx));
  });
}

}  // namespace t3d::ops::cuda
