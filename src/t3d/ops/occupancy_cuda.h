#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/// The update of the density grid (ops/occupancy.h) on CUDA, step by step, without the host. No torch header.
namespace t3d::ops::cuda {

/// Draws first .. first+n of the update: cells and points, as cpu::pick_cells draws them (the order within a
/// list of occupied cells differs). lists [K,128^3] and n_occupied [K] come from list_occupied and are not
/// read in warm-up.
void pick_cells(bool is_warmup, int n_cascades, uint64_t seed, uint32_t step, uint32_t first, uint32_t n,
                const uint32_t* lists, const uint32_t* n_occupied, uint32_t* cells, float* points,
                cudaStream_t stream);

/// lists [K,128^3] and their lengths, from the bits.
void list_occupied(const uint8_t* bits, int n_cascades, uint32_t* lists, uint32_t* n_occupied,
                   cudaStream_t stream);

void decay_density(float* density, uint32_t n_cells, float decay, cudaStream_t stream);
void apply_density(float* density, const uint32_t* cells, const float* sigma, uint32_t n,
                   cudaStream_t stream);

/// bits from density, threshold min(mean of the positive cells, density_threshold); then coarse cells are set
/// where a finer one inside them is. scratch: 2 floats.
void update_bits(const float* density, int n_cascades, float density_threshold, uint8_t* bits, float* scratch,
                 cudaStream_t stream);

}  // namespace t3d::ops::cuda
