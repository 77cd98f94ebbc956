#include "t3d/io/gif_palette.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

constexpr int kBits = 5, kSide = 1 << kBits, kCells = kSide * kSide * kSide;
constexpr size_t kMaxColours = 256;
constexpr float kDitherAmplitude = 12.0f;  // about the distance of neighbouring palette colours

struct Cell {
  std::array<float, 3> colour;  // mean of the pixels in it
  double n;
};

struct BoxOfCells {
  size_t begin, end;
  int axis = 0;
  double spread = 0;  // weighted variance along `axis`, times the number of pixels
};

int cell_of(int r, int g, int b) {
  return (r >> 3 << 10) | (g >> 3 << 5) | (b >> 3);
}

void measure(const std::vector<Cell>& cells, BoxOfCells& box) {
  box.spread = 0;
  for (int axis = 0; axis < 3; ++axis) {
    double n = 0, sum = 0, squares = 0;
    for (size_t i = box.begin; i < box.end; ++i) {
      const double v = cells[i].colour[static_cast<size_t>(axis)];
      n += cells[i].n, sum += cells[i].n * v, squares += cells[i].n * v * v;
    }
    const double spread = squares - sum * sum / n;
    if (box.end - box.begin > 1 && spread > box.spread) box.spread = spread, box.axis = axis;
  }
}

std::vector<Cell> histogram(const std::vector<Image8>& frames) {
  std::vector<std::array<double, 4>> sums(kCells, {0, 0, 0, 0});
  for (const Image8& frame : frames)
    for (size_t i = 0; i + 2 < frame.pixels.size(); i += static_cast<size_t>(frame.channels)) {
      const uint8_t* p = &frame.pixels[i];
      auto& sum = sums[static_cast<size_t>(cell_of(p[0], p[1], p[2]))];
      for (size_t c = 0; c < 3; ++c) sum[c] += p[c];
      sum[3] += 1;
    }
  std::vector<Cell> cells;
  for (const auto& s : sums)
    if (s[3] > 0)
      cells.push_back({{static_cast<float>(s[0] / s[3]), static_cast<float>(s[1] / s[3]),
                        static_cast<float>(s[2] / s[3])},
                       s[3]});
  return cells;
}

}  // namespace

Palette choose_palette(const std::vector<Image8>& frames) {
  std::vector<Cell> cells = histogram(frames);
  T3D_CHECK(!cells.empty(), "no pixels");
  std::vector<BoxOfCells> boxes = {{0, cells.size()}};
  measure(cells, boxes[0]);
  while (boxes.size() < kMaxColours) {
    const auto widest = std::max_element(boxes.begin(), boxes.end(),
                                         [](const auto& a, const auto& b) { return a.spread < b.spread; });
    if (widest->spread <= 0) break;
    const auto axis = static_cast<size_t>(widest->axis);
    const auto first = cells.begin() + static_cast<long>(widest->begin),
               last = cells.begin() + static_cast<long>(widest->end);
    std::sort(first, last, [axis](const Cell& a, const Cell& b) { return a.colour[axis] < b.colour[axis]; });
    double n = 0, half = 0;
    for (auto cell = first; cell != last; ++cell) n += cell->n;
    size_t cut = widest->begin;
    while (cut + 1 < widest->end && half + cells[cut].n <= n / 2) half += cells[cut++].n;
    cut = std::max(cut, widest->begin + 1);
    BoxOfCells upper = {cut, widest->end};
    widest->end = cut;
    measure(cells, *widest);
    measure(cells, upper);
    boxes.push_back(upper);
  }
  Palette palette;
  for (const auto& box : boxes) {
    std::array<double, 4> sum = {0, 0, 0, 0};
    for (size_t i = box.begin; i < box.end; ++i) {
      for (size_t c = 0; c < 3; ++c) sum[c] += cells[i].n * cells[i].colour[c];
      sum[3] += cells[i].n;
    }
    std::array<uint8_t, 3> colour{};
    for (size_t c = 0; c < 3; ++c) colour[c] = static_cast<uint8_t>(std::lround(sum[c] / sum[3]));
    palette.colours.push_back(colour);
  }
  palette.nearest.resize(kCells);
  for (int cell = 0; cell < kCells; ++cell) {
    const int rgb[3] = {(cell >> 10) * 8 + 4, (cell >> 5 & 31) * 8 + 4, (cell & 31) * 8 + 4};
    int best = 1 << 30;
    for (size_t i = 0; i < palette.colours.size(); ++i) {
      int distance = 0;
      for (int c = 0; c < 3; ++c) {
        const int d = rgb[c] - palette.colours[i][static_cast<size_t>(c)];
        distance += d * d;
      }
      if (distance < best)
        best = distance, palette.nearest[static_cast<size_t>(cell)] = static_cast<uint8_t>(i);
    }
  }
  return palette;
}

std::vector<uint8_t> apply_palette(const Image8& frame, const Palette& palette) {
  std::vector<uint8_t> out(static_cast<size_t>(frame.width) * static_cast<size_t>(frame.height));
  for (int y = 0; y < frame.height; ++y)
    for (int x = 0; x < frame.width; ++x) {
      // Bayer's matrix: bits of x^y and y, interleaved from the lowest.
      int threshold = 0;
      for (int bit = 0; bit < 3; ++bit)
        threshold = threshold << 2 | ((x ^ y) >> bit & 1) << 1 | (y >> bit & 1);
      const float offset = (static_cast<float>(threshold) / 63.0f - 0.5f) * kDitherAmplitude;
      const uint8_t* p = frame.at(x, y);
      int rgb[3];
      for (int c = 0; c < 3; ++c) {
        // Black and white stay clean.
        const bool is_end = p[c] == 0 || p[c] == 255;
        rgb[c] = is_end ? p[c] : static_cast<int>(std::clamp(p[c] + offset, 0.0f, 255.0f));
      }
      out[static_cast<size_t>(y) * static_cast<size_t>(frame.width) + static_cast<size_t>(x)] =
          palette.nearest[static_cast<size_t>(cell_of(rgb[0], rgb[1], rgb[2]))];
    }
  return out;
}

}  // namespace t3d::io
