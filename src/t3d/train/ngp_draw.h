#pragma once

#include "t3d/core/rng.h"

namespace t3d::train {

/// What training ray `ray` of step `step` draws. Two Philox blocks; host and device, no torch header.
struct NgpDraw {
  uint32_t image, x, y;
  float jitter;
  float background[3];

  T3D_HOST_DEVICE static uint32_t below(uint32_t word, uint32_t n) {
    return static_cast<uint32_t>((static_cast<uint64_t>(word) * n) >> 32);
  }

  /// widths and heights: of each image.
  template <class Size>
  T3D_HOST_DEVICE static NgpDraw at(uint64_t seed, uint32_t step, uint32_t ray, uint32_t n_images,
                                    const Size& size_of) {
    const uint64_t stream = (uint64_t{0x4e47u} << 32) | step;
    const Philox a = Philox::at(seed, 2 * static_cast<uint64_t>(ray), stream);
    const Philox b = Philox::at(seed, 2 * static_cast<uint64_t>(ray) + 1, stream);
    NgpDraw draw;
    draw.image = below(a.v[0], n_images);
    const auto size = size_of(draw.image);
    draw.x = below(a.v[1], static_cast<uint32_t>(size.width));
    draw.y = below(a.v[2], static_cast<uint32_t>(size.height));
    draw.jitter = a.uniform(3);
    for (int i = 0; i < 3; ++i) draw.background[i] = b.uniform(i);
    return draw;
  }

  /// Times that a pixel is drawn again while the drawn one does not count (data::View::mask).
  static constexpr uint32_t kRedraws = 12;

  /// Another image and pixel for the same ray; attempt: from 1.
  template <class Size>
  T3D_HOST_DEVICE void redraw(uint64_t seed, uint32_t step, uint32_t ray, uint32_t attempt, uint32_t n_images,
                              const Size& size_of) {
    const uint64_t stream = (uint64_t{0x4e48u} << 32) | step;
    const Philox a = Philox::at(seed, static_cast<uint64_t>(ray) * (kRedraws + 1) + attempt, stream);
    image = below(a.v[0], n_images);
    const auto size = size_of(image);
    x = below(a.v[1], static_cast<uint32_t>(size.width));
    y = below(a.v[2], static_cast<uint32_t>(size.height));
  }
};

}  // namespace t3d::train
