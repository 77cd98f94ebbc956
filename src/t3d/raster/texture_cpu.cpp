#include "t3d/raster/texture_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace t3d::raster::cpu {
namespace {

using lookup::PlaceGradients;
using lookup::Places;
using lookup::TextureView;

constexpr int64_t kGrain = 512;
constexpr int64_t kPlacesAtOnce = 1 << 16;  // bounds the memory of the lists below
constexpr int64_t kChunk = 1 << 12;         // places of one list
constexpr int64_t kTexelsTogether = 64;     // neighbours that belong to one thread

template <class T>
struct Contribution {
  int64_t texel, place;
  T weight;
};

template <class T>
void add(const Contribution<T>& c, int n_channels, const T* d_out, T* d_texels) {
  T* to = d_texels + c.texel * n_channels;
  const T* from = d_out + c.place * n_channels;
  for (int i = 0; i < n_channels; ++i) to[i] += c.weight * from[i];
}

/// Texels are dealt out to the threads, and each thread walks the lists in the order of the places.
template <class T>
void adjoint_in_lists(const TextureView<T>& view, const Places<T>& places, const T* d_out,
                      const PlaceGradients<T>& gradients, T* d_texels, int64_t n_threads) {
  std::vector<std::vector<Contribution<T>>> lists(
      static_cast<size_t>((kPlacesAtOnce + kChunk - 1) / kChunk * n_threads));
  for (int64_t first = 0; first < places.n; first += kPlacesAtOnce) {
    const int64_t last = std::min(first + kPlacesAtOnce, places.n),
                  n_chunks = (last - first + kChunk - 1) / kChunk;
    at::parallel_for(0, n_chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const size_t row = static_cast<size_t>(chunk * n_threads);
        for (size_t k = 0; k < static_cast<size_t>(n_threads); ++k) lists[row + k].clear();
        const int64_t from = first + chunk * kChunk;
        for (int64_t i = from; i < std::min(from + kChunk, last); ++i)
          sample_adjoint_at(view, places, i, d_out, gradients, [&](int64_t texel, T weight) {
            lists[row + static_cast<size_t>(texel / kTexelsTogether % n_threads)].push_back(
                {texel, i, weight});
          });
      }
    });
    at::parallel_for(0, n_threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k)
        for (int64_t chunk = 0; chunk < n_chunks; ++chunk)
          for (const auto& c : lists[static_cast<size_t>(chunk * n_threads + k)])
            add(c, view.n_channels, d_out, d_texels);
    });
  }
}

}  // namespace

template <class T>
void sample_texture(const TextureView<T>& view, const Places<T>& places, T* out) {
  at::parallel_for(0, places.n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sample_at(view, places, i, out);
  });
}

template <class T>
void sample_texture_adjoint(const TextureView<T>& view, const Places<T>& places, const T* d_out,
                            const PlaceGradients<T>& gradients, T* d_texels) {
  const int64_t n_threads = at::get_num_threads();
  if (d_texels == nullptr) {
    at::parallel_for(0, places.n, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        sample_adjoint_at(view, places, i, d_out, gradients, [](int64_t, T) {});
    });
  } else if (n_threads == 1) {
    for (int64_t i = 0; i < places.n; ++i)
      sample_adjoint_at(view, places, i, d_out, gradients, [&](int64_t texel, T weight) {
        add(Contribution<T>{texel, i, weight}, view.n_channels, d_out, d_texels);
      });
  } else {
    adjoint_in_lists(view, places, d_out, gradients, d_texels, n_threads);
  }
}

template void sample_texture<float>(const TextureView<float>&, const Places<float>&, float*);
template void sample_texture<double>(const TextureView<double>&, const Places<double>&, double*);
template void sample_texture_adjoint<float>(const TextureView<float>&, const Places<float>&, const float*,
                                            const PlaceGradients<float>&, float*);
template void sample_texture_adjoint<double>(const TextureView<double>&, const Places<double>&, const double*,
                                             const PlaceGradients<double>&, double*);

}  // namespace t3d::raster::cpu
