#pragma once

#include "t3d/raster/texture_lookup.h"

namespace t3d::raster::lookup {

/// The places of a call, image after image.
template <class T>
struct Places {
  const T* uv;
  const T* uv_da;  ///< or null
  const T* bias;   ///< or null
  int64_t n, n_per_image;
};

/// Where the gradients go. A null pointer asks for none, except that uv is always there.
template <class T>
struct PlaceGradients {
  T* uv;
  T* uv_da;
  T* bias;
};

template <class T>
T3D_HOST_DEVICE int64_t image_of(const TextureView<T>& view, const Places<T>& places, int64_t i) {
  return view.n_images == 1 ? 0 : i / places.n_per_image;
}

template <class T>
T3D_HOST_DEVICE void sample_at(const TextureView<T>& view, const Places<T>& places, int64_t i, T* out) {
  sample(view, image_of(view, places, i), places.uv + i * view.uv_size(),
         places.uv_da != nullptr ? places.uv_da + i * view.da_size() : nullptr,
         places.bias != nullptr ? places.bias + i : nullptr, out + i * view.n_channels);
}

template <class T, class Emit>
T3D_HOST_DEVICE void sample_adjoint_at(const TextureView<T>& view, const Places<T>& places, int64_t i,
                                       const T* d_out, const PlaceGradients<T>& gradients, const Emit& emit) {
  const bool has_da = places.uv_da != nullptr;
  sample_adjoint(view, image_of(view, places, i), places.uv + i * view.uv_size(),
                 has_da ? places.uv_da + i * view.da_size() : nullptr,
                 places.bias != nullptr ? places.bias + i : nullptr, d_out + i * view.n_channels,
                 gradients.uv + i * view.uv_size(),
                 has_da && gradients.uv_da != nullptr ? gradients.uv_da + i * view.da_size() : nullptr,
                 gradients.bias != nullptr ? gradients.bias + i : nullptr, emit);
}

}  // namespace t3d::raster::lookup
