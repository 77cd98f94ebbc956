#include "t3d/io/image_resize.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

/// Input pixels that one output pixel covers, with their shares (sum 1).
struct Span {
  int first = 0;
  std::vector<float> share;
};

std::vector<Span> area_spans(int n_in, int n_out) {
  std::vector<Span> spans(static_cast<size_t>(n_out));
  const double ratio = static_cast<double>(n_in) / n_out;
  for (int i = 0; i < n_out; ++i) {
    const double begin = i * ratio, end = (i + 1) * ratio;
    Span& span = spans[static_cast<size_t>(i)];
    span.first = std::min(static_cast<int>(begin), n_in - 1);
    for (int k = span.first; k < n_in && (k < end - 1e-9 || k == span.first); ++k) {
      const double covered = std::min<double>(end, k + 1) - std::max<double>(begin, k);
      span.share.push_back(static_cast<float>(covered / ratio));
    }
  }
  return spans;
}

void check_target(int width, int height) {
  T3D_CHECK(width > 0 && height > 0, "target size ", width, "x", height);
}

/// Rows one after the other, so that the memory beside input and output is one row.
template <class Pixel, class Store>
void area(const Pixel* in, int width, int height, int channels, int out_width, int out_height,
          const Store& store) {
  const std::vector<Span> columns = area_spans(width, out_width), rows = area_spans(height, out_height);
  const bool has_alpha = channels == 2 || channels == 4;
  const int alpha = channels - 1;
  std::vector<double> line(static_cast<size_t>(out_width) * channels);
  for (int y = 0; y < out_height; ++y) {
    std::fill(line.begin(), line.end(), 0.0);
    const Span& row = rows[static_cast<size_t>(y)];
    for (size_t r = 0; r < row.share.size(); ++r) {
      const Pixel* source = in + (static_cast<size_t>(row.first) + r) * width * channels;
      for (int x = 0; x < out_width; ++x) {
        const Span& column = columns[static_cast<size_t>(x)];
        double* sum = line.data() + static_cast<size_t>(x) * channels;
        const Pixel* p = source + static_cast<size_t>(column.first) * channels;
        for (const float share : column.share) {
          const double weight = static_cast<double>(share) * row.share[r];
          const double colour_weight = has_alpha ? weight * p[alpha] : weight;
          for (int c = 0; c < (has_alpha ? alpha : channels); ++c) sum[c] += colour_weight * p[c];
          if (has_alpha) sum[alpha] += weight * p[alpha];
          p += channels;
        }
      }
    }
    for (int x = 0; x < out_width && has_alpha; ++x) {
      double* sum = line.data() + static_cast<size_t>(x) * channels;
      for (int c = 0; c < alpha; ++c) sum[c] = sum[alpha] > 0 ? sum[c] / sum[alpha] : 0.0;
    }
    store(static_cast<size_t>(y) * out_width * channels, line);
  }
}

}  // namespace

Image8 resize_area(const Image8& image, int width, int height) {
  check_target(width, height);
  if (width == image.width && height == image.height) return image;
  Image8 out(width, height, image.channels);
  area(image.pixels.data(), image.width, image.height, image.channels, width, height,
       [&](size_t at, const std::vector<double>& line) {
         for (size_t i = 0; i < line.size(); ++i)
           out.pixels[at + i] = static_cast<uint8_t>(std::lround(std::clamp(line[i], 0.0, 255.0)));
       });
  return out;
}

ImageF resize_area(const ImageF& image, int width, int height) {
  check_target(width, height);
  if (width == image.width && height == image.height) return image;
  ImageF out(width, height, image.channels);
  area(image.pixels.data(), image.width, image.height, image.channels, width, height,
       [&](size_t at, const std::vector<double>& line) {
         for (size_t i = 0; i < line.size(); ++i) out.pixels[at + i] = static_cast<float>(line[i]);
       });
  return out;
}

ImageF resize_bilinear(const ImageF& image, int width, int height) {
  check_target(width, height);
  if (width == image.width && height == image.height) return image;
  ImageF out(width, height, image.channels);
  const float step_x = static_cast<float>(image.width) / static_cast<float>(width);
  const float step_y = static_cast<float>(image.height) / static_cast<float>(height);
  for (int y = 0; y < height; ++y) {
    const float v = std::max(0.0f, (static_cast<float>(y) + 0.5f) * step_y - 0.5f);
    const int y0 = std::min(static_cast<int>(v), image.height - 1), y1 = std::min(y0 + 1, image.height - 1);
    const float fy = v - static_cast<float>(y0);
    for (int x = 0; x < width; ++x) {
      const float u = std::max(0.0f, (static_cast<float>(x) + 0.5f) * step_x - 0.5f);
      const int x0 = std::min(static_cast<int>(u), image.width - 1), x1 = std::min(x0 + 1, image.width - 1);
      const float fx = u - static_cast<float>(x0);
      for (int c = 0; c < image.channels; ++c) {
        const float top = image.at(x0, y0)[c] * (1 - fx) + image.at(x1, y0)[c] * fx;
        const float bottom = image.at(x0, y1)[c] * (1 - fx) + image.at(x1, y1)[c] * fx;
        out.at(x, y)[c] = top * (1 - fy) + bottom * fy;
      }
    }
  }
  return out;
}

Image8 resize_bilinear(const Image8& image, int width, int height) {
  return to_8bit(resize_bilinear(to_float(image), width, height));
}

}  // namespace t3d::io
