#pragma once

#include "t3d/raster/texture_batch.h"

/// The loops of the texture lookup on the CPU, for float and double.
namespace t3d::raster::cpu {

/// out [n,C] overwritten.
template <class T>
void sample_texture(const lookup::TextureView<T>& view, const lookup::Places<T>& places, T* out);

/// Overwrites the gradients of the places, and adds to d_texels [texels of all levels,C] unless it is null.
/// Each texel's contributions are added in the order of the places, whatever the number of threads.
template <class T>
void sample_texture_adjoint(const lookup::TextureView<T>& view, const lookup::Places<T>& places,
                            const T* d_out, const lookup::PlaceGradients<T>& gradients, T* d_texels);

}  // namespace t3d::raster::cpu
