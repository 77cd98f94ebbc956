#pragma once

#include <cuda_runtime.h>

#include "t3d/raster/texture_batch.h"

/// The texture lookup on CUDA, a thread for each place: launchers on raw device pointers, no torch header.
namespace t3d::raster::cuda {

/// out [n,C] overwritten.
template <class T>
void sample_texture(const lookup::TextureView<T>& view, const lookup::Places<T>& places, T* out,
                    cudaStream_t stream);

/// Overwrites the gradients of the places, and adds to d_texels [texels of all levels,C] unless it is null,
/// in the order in which threads come.
template <class T>
void sample_texture_adjoint(const lookup::TextureView<T>& view, const lookup::Places<T>& places,
                            const T* d_out, const lookup::PlaceGradients<T>& gradients, T* d_texels,
                            cudaStream_t stream);

}  // namespace t3d::raster::cuda
