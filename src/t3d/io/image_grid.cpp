#include "t3d/io/image_grid.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "t3d/core/error.h"
#include "t3d/io/image_resize.h"

namespace t3d::io {
namespace {

// Anchors at equal distances. Magma and turbo: https://github.com/sjmgarnier/viridis; Spectral: ColorBrewer.
constexpr uint32_t kMagma[] = {0x000004, 0x1d1147, 0x51127c, 0x822681, 0xb63679,
                               0xe65164, 0xfb8861, 0xfec287, 0xfcfdbf};
constexpr uint32_t kTurbo[] = {0x30123b, 0x4686fb, 0x1ae4b6, 0xa2fc3c, 0xfaba39, 0xe4460a, 0x7a0403};
constexpr uint32_t kSpectral[] = {0x9e0142, 0xd53e4f, 0xf46d43, 0xfdae61, 0xfee08b, 0xffffbf,
                                  0xe6f598, 0xabdda4, 0x66c2a5, 0x3288bd, 0x5e4fa2};

template <size_t N>
std::array<float, 3> between_anchors(const uint32_t (&anchors)[N], float x) {
  const float place = x * (N - 1);
  const size_t i = std::min(static_cast<size_t>(place), N - 2);
  const float f = place - static_cast<float>(i);
  std::array<float, 3> out{};
  for (int c = 0; c < 3; ++c) {
    const auto channel = [&](uint32_t rgb) { return static_cast<float>(rgb >> (16 - 8 * c) & 255) / 255.0f; };
    out[static_cast<size_t>(c)] = (1 - f) * channel(anchors[i]) + f * channel(anchors[i + 1]);
  }
  return out;
}

uint8_t truncated(float v, ValueRange range) {
  if (std::isnan(v)) v = 0;
  const float x = (std::clamp(v, range.first, range.second) - range.first) / (range.second - range.first);
  return static_cast<uint8_t>(x * 255.0f);
}

void check_range(ValueRange range) {
  T3D_CHECK(range.first < range.second, "range ", range.first, " to ", range.second);
}

}  // namespace

std::array<float, 3> map_colour(ColourMap map, float x) {
  x = std::isnan(x) ? 0.0f : std::clamp(x, 0.0f, 1.0f);
  const auto ramp = [x](float peak) { return std::clamp(1.5f - std::abs(4 * x - peak), 0.0f, 1.0f); };
  switch (map) {
    case ColourMap::Jet:
      return {ramp(3), ramp(2), ramp(1)};
    case ColourMap::Magma:
      return between_anchors(kMagma, 1 - x);
    case ColourMap::Spectral:
      return between_anchors(kSpectral, x);
    case ColourMap::Turbo:
      return between_anchors(kTurbo, x);
    case ColourMap::None:
      break;
  }
  return {x, x, x};
}

Image8 picture_of_rgb(const ImageF& image, ValueRange range) {
  check_range(range);
  const int n_groups = (image.channels + 2) / 3;
  Image8 out(image.width * n_groups, image.height, 3);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < 3 * n_groups; ++c) {
        uint8_t* p = out.at(x + c / 3 * image.width, y);
        if (image.channels == 1) {
          p[c % 3] = truncated(image.at(x, y)[0], range);
        } else if (c < image.channels) {
          p[c % 3] = truncated(image.at(x, y)[c], range);
        }
      }
  return out;
}

Image8 picture_of_values(const ImageF& image, std::optional<ValueRange> range, ColourMap map) {
  T3D_CHECK(image.channels == 1, "image of ", image.channels, " channels");
  if (!range) {
    float low = 1e30f, high = -1e30f;
    for (const float v : image.pixels) {
      const float value = std::isnan(v) ? 0.0f : v;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    range = high > low ? ValueRange{low, high} : ValueRange{low, low + 1};
  }
  check_range(*range);
  std::array<std::array<uint8_t, 3>, 256> table{};
  for (size_t i = 0; i < 256; ++i) {
    const auto colour = map_colour(map, static_cast<float>(i) / 255.0f);
    for (size_t c = 0; c < 3; ++c)
      table[i][c] = static_cast<uint8_t>(colour[c] * 255.0f + (map == ColourMap::None ? 0.5f : 0.0f));
  }
  Image8 out(image.width, image.height, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    std::memcpy(&out.pixels[3 * i], table[truncated(image.pixels[i], *range)].data(), 3);
  return out;
}

Image8 picture_grid(const std::vector<std::vector<Image8>>& rows, int align) {
  struct RowSize {
    int width = 0, height = 0;
  };
  std::vector<RowSize> sizes;
  int width = 0, height = 0;
  for (const auto& row : rows) {
    T3D_CHECK(!row.empty(), "empty row");
    RowSize size = {align, align};
    for (const Image8& picture : row) {
      T3D_CHECK(picture.channels == 3 && !picture.empty(), "picture of ", picture.channels, " channels");
      if (align != 0) continue;
      size.width = std::max(size.width, picture.width);
      size.height = std::max(size.height, picture.height);
    }
    sizes.push_back(size);
    width = std::max(width, size.width * static_cast<int>(row.size()));
    height += size.height;
  }
  T3D_CHECK(width > 0 && height > 0, "no rows");
  Image8 out(width, height, 3);
  int top = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].size(); ++c) {
      const Image8 picture = resize_bilinear(rows[r][c], sizes[r].width, sizes[r].height);
      for (int y = 0; y < picture.height; ++y)
        std::memcpy(out.at(static_cast<int>(c) * picture.width, top + y), picture.at(0, y),
                    static_cast<size_t>(picture.width) * 3);
    }
    top += sizes[r].height;
  }
  return out;
}

}  // namespace t3d::io
