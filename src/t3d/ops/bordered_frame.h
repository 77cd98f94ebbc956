#pragma once

#include <cstdint>
#include <cstring>

/// Pictures whose channels are last, with pixels of zeros around them and room behind their channels. For
/// kernel files only.
namespace t3d::ops::cpu {

/// Where the pixels of a bordered picture lie.
struct Frame {
  int64_t height, width, border, channels;
  int64_t row() const { return (width + 2 * border) * channels; }
  int64_t item() const { return (height + 2 * border) * row(); }
  int64_t pixel(int64_t y, int64_t x) const { return (y + border) * row() + (x + border) * channels; }
};

/// Zeros along the edges of one item.
template <class Number>
void clear_edges(const Frame& f, Number* item) {
  if (f.border == 0) return;
  const auto clear = [](Number* at, int64_t n) { std::memset(at, 0, n * sizeof(Number)); };
  clear(item, f.border * f.row());
  clear(item + (f.height + f.border) * f.row(), f.border * f.row());
  for (int64_t y = 0; y < f.height; ++y) {
    clear(item + (y + f.border) * f.row(), f.border * f.channels);
    clear(item + f.pixel(y, f.width), f.border * f.channels);
  }
}

/// The picture alone: zeros around it and behind its channels. copy(from, n, to) brings numbers over.
template <class X, class Number, class Copy>
void add_border_to(const X* x, int64_t n_items, int64_t n_channels, const Frame& frame, Number* out,
                   const Copy& copy) {
#pragma omp parallel if (n_items * frame.height * frame.width * n_channels > (1 << 16))
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_items; ++i) clear_edges(frame, out + i * frame.item());
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_items * frame.height; ++i) {
      const X* from = x + i * frame.width * n_channels;
      Number* to = out + i / frame.height * frame.item() + frame.pixel(i % frame.height, 0);
      if (frame.channels == n_channels) {
        copy(from, frame.width * n_channels, to);
        continue;
      }
      for (int64_t p = 0; p < frame.width; ++p, from += n_channels, to += frame.channels) {
        copy(from, n_channels, to);
        std::memset(to + n_channels, 0, (frame.channels - n_channels) * sizeof(Number));
      }
    }
  }
}

}  // namespace t3d::ops::cpu
