#include "t3d/ops/occupancy_cuda.h"

#include "t3d/ops/cuda_check.h"
#include "t3d/ops/occupancy_layout.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kThreads = 256;
int blocks_for(uint32_t n) {
  return static_cast<int>((n + kThreads - 1) / kThreads);
}

__global__ void pick_kernel(bool is_warmup, uint64_t seed, uint32_t step, uint32_t first, uint32_t n,
                            const uint32_t* lists, const uint32_t* n_occupied, uint32_t* cells,
                            float* points) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  const uint32_t draw = first + i;
  float* point = points + 3 * static_cast<size_t>(i);
  if (is_warmup) {
    cells[i] = pick_all(seed, step, draw, point);
    return;
  }
  constexpr uint32_t kHalf = kCellsPerCascade / 4;
  const int cascade = static_cast<int>(draw / (2 * kHalf));
  const uint32_t index = draw % (2 * kHalf);
  cells[i] = index < kHalf ? pick_uniform(seed, step, cascade, index, point)
                           : pick_occupied(seed, step, cascade, index - kHalf,
                                           lists + static_cast<size_t>(cascade) * kCellsPerCascade,
                                           n_occupied[cascade], point);
}

__global__ void list_kernel(const uint8_t* bits, uint32_t* lists, uint32_t* n_occupied) {
  const uint32_t word_index = blockIdx.x * kThreads + threadIdx.x;  // 32 cells
  const int cascade = static_cast<int>(word_index / (kCellsPerCascade / 32));
  uint32_t word = reinterpret_cast<const uint32_t*>(bits)[word_index];
  if (word == 0) return;
  uint32_t to = atomicAdd(n_occupied + cascade, static_cast<uint32_t>(__popc(word)));
  for (; word != 0; word &= word - 1)
    lists[static_cast<size_t>(cascade) * kCellsPerCascade + to++] =
        word_index * 32 + static_cast<uint32_t>(__ffs(static_cast<int>(word)) - 1);
}

__global__ void decay_kernel(float* density, uint32_t n, float decay) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n && density[i] >= 0.0f) density[i] *= decay;
}

/// Densities are positive, and positive floats order like their bits.
__global__ void apply_kernel(float* density, const uint32_t* cells, const float* sigma, uint32_t n) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  float* cell = density + cells[i];
  if (*cell >= 0.0f) atomicMax(reinterpret_cast<int*>(cell), __float_as_int(fmaxf(sigma[i], 0.0f)));
}

__global__ void mean_kernel(const float* density, uint32_t n, float* sum_and_count) {
  float sum = 0, count = 0;
  for (uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < n; i += gridDim.x * kThreads) {
    const float v = density[i];
    if (v > 0) sum += v, count += 1;
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    sum += __shfl_down_sync(0xffffffffu, sum, offset);
    count += __shfl_down_sync(0xffffffffu, count, offset);
  }
  if ((threadIdx.x & 31) == 0) {
    atomicAdd(sum_and_count, sum);
    atomicAdd(sum_and_count + 1, count);
  }
}

__global__ void bits_kernel(const float* density, uint32_t n_bytes, const float* sum_and_count, float limit,
                            uint8_t* bits) {
  const uint32_t byte = blockIdx.x * kThreads + threadIdx.x;
  if (byte >= n_bytes) return;
  const float mean = sum_and_count[1] > 0 ? sum_and_count[0] / sum_and_count[1] : 0.0f;
  const float threshold = fminf(mean, limit);
  uint32_t value = 0;
  for (int bit = 0; bit < 8; ++bit)
    value |= density[8 * static_cast<size_t>(byte) + bit] > threshold ? 1u << bit : 0u;
  bits[byte] = static_cast<uint8_t>(value);
}

/// A byte holds 2x2x2 cells, which are one cell of the next coarser cascade.
__global__ void coarsen_kernel(int fine_cascade, uint8_t* bits) {
  const uint32_t byte = blockIdx.x * kThreads + threadIdx.x;
  if (byte >= kCellsPerCascade / 8) return;
  const uint8_t* fine = bits + static_cast<size_t>(fine_cascade) * kCellsPerCascade / 8;
  if (fine[byte] == 0) return;
  // Block (x,y,z) of 64^3 lies at (x,y,z) + 32 of the coarser cascade, which is twice as wide about the same
  // centre.
  const uint32_t cell =
      morton_code(morton_gather(byte) + kGridSide / 4, morton_gather(byte >> 1) + kGridSide / 4,
                  morton_gather(byte >> 2) + kGridSide / 4);
  const size_t number = static_cast<size_t>(fine_cascade + 1) * kCellsPerCascade + cell;
  atomicOr(reinterpret_cast<unsigned int*>(bits) + number / 32, 1u << (number & 31u));
}

}  // namespace

void pick_cells(bool is_warmup, int, uint64_t seed, uint32_t step, uint32_t first, uint32_t n,
                const uint32_t* lists, const uint32_t* n_occupied, uint32_t* cells, float* points,
                cudaStream_t stream) {
  pick_kernel<<<blocks_for(n), kThreads, 0, stream>>>(is_warmup, seed, step, first, n, lists, n_occupied,
                                                      cells, points);
  T3D_CUDA(cudaGetLastError());
}

void list_occupied(const uint8_t* bits, int n_cascades, uint32_t* lists, uint32_t* n_occupied,
                   cudaStream_t stream) {
  T3D_CUDA(cudaMemsetAsync(n_occupied, 0, sizeof(uint32_t) * static_cast<size_t>(n_cascades), stream));
  list_kernel<<<blocks_for(static_cast<uint32_t>(n_cascades) * (kCellsPerCascade / 32)), kThreads, 0,
                stream>>>(bits, lists, n_occupied);
  T3D_CUDA(cudaGetLastError());
}

void decay_density(float* density, uint32_t n_cells, float decay, cudaStream_t stream) {
  decay_kernel<<<blocks_for(n_cells), kThreads, 0, stream>>>(density, n_cells, decay);
  T3D_CUDA(cudaGetLastError());
}

void apply_density(float* density, const uint32_t* cells, const float* sigma, uint32_t n,
                   cudaStream_t stream) {
  apply_kernel<<<blocks_for(n), kThreads, 0, stream>>>(density, cells, sigma, n);
  T3D_CUDA(cudaGetLastError());
}

void update_bits(const float* density, int n_cascades, float density_threshold, uint8_t* bits, float* scratch,
                 cudaStream_t stream) {
  const uint32_t n = static_cast<uint32_t>(n_cascades) * kCellsPerCascade;
  T3D_CUDA(cudaMemsetAsync(scratch, 0, 2 * sizeof(float), stream));
  mean_kernel<<<264, kThreads, 0, stream>>>(density, n, scratch);
  bits_kernel<<<blocks_for(n / 8), kThreads, 0, stream>>>(density, n / 8, scratch, density_threshold, bits);
  for (int cascade = 0; cascade + 1 < n_cascades; ++cascade)
    coarsen_kernel<<<blocks_for(kCellsPerCascade / 8), kThreads, 0, stream>>>(cascade, bits);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::ops::cuda
