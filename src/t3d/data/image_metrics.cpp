#include "t3d/data/image_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "t3d/core/error.h"

namespace t3d::data {
namespace {

constexpr int kRadius = 5;
constexpr int kWindow = 2 * kRadius + 1;
constexpr double kSigma = 1.5, kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;

std::array<double, kWindow> gaussian() {
  std::array<double, kWindow> w{};
  double sum = 0;
  for (int i = 0; i < kWindow; ++i)
    sum += w[static_cast<size_t>(i)] = std::exp(-0.5 * (i - kRadius) * (i - kRadius) / (kSigma * kSigma));
  for (double& v : w) v /= sum;
  return w;
}

/// Index reflected at both borders without repeating the edge: -1 is 1.
int reflect(int i, int n) {
  if (i < 0) i = -i;
  return i < n ? i : 2 * (n - 1) - i;
}

void check_sizes(const io::ImageF& a, const io::ImageF& b) {
  T3D_CHECK(a.width == b.width && a.height == b.height && a.channels == b.channels && !a.empty(), a.width,
            "x", a.height, "x", a.channels, " and ", b.width, "x", b.height, "x", b.channels);
}

/// Means over the window of a, b, aa, bb, ab: rows first, then columns, over a ring of filtered rows.
constexpr size_t kMoments = 5;
using Moments = std::array<double, kMoments>;

/// Horizontally filtered moments of row y of channel c.
void filter_row(const io::ImageF& a, const io::ImageF& b, int y, int c, const std::array<double, kWindow>& w,
                std::vector<Moments>& out) {
  for (int x = 0; x < a.width; ++x) {
    Moments sum{};
    for (int k = 0; k < kWindow; ++k) {
      const int column = reflect(x + k - kRadius, a.width);
      const double p = a.at(column, y)[c], q = b.at(column, y)[c], weight = w[static_cast<size_t>(k)];
      sum[0] += weight * p;
      sum[1] += weight * q;
      sum[2] += weight * p * p;
      sum[3] += weight * q * q;
      sum[4] += weight * p * q;
    }
    out[static_cast<size_t>(x)] = sum;
  }
}

double similarity(const Moments& m) {
  const double var_a = m[2] - m[0] * m[0], var_b = m[3] - m[1] * m[1], covariance = m[4] - m[0] * m[1];
  return (2 * m[0] * m[1] + kC1) * (2 * covariance + kC2) /
         ((m[0] * m[0] + m[1] * m[1] + kC1) * (var_a + var_b + kC2));
}

}  // namespace

double psnr(const io::ImageF& image, const io::ImageF& truth) {
  check_sizes(image, truth);
  double sum = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const double d = static_cast<double>(image.pixels[i]) - truth.pixels[i];
    sum += d * d;
  }
  if (sum == 0) return std::numeric_limits<double>::infinity();
  return -10 * std::log10(sum / static_cast<double>(image.pixels.size()));
}

double ssim(const io::ImageF& image, const io::ImageF& truth) {
  check_sizes(image, truth);
  T3D_CHECK(image.width > kRadius && image.height > kRadius, "image of ", image.width, "x", image.height);
  const std::array<double, kWindow> w = gaussian();
  const int height = image.height;
  std::vector<std::vector<Moments>> rows(static_cast<size_t>(height));  // filled ahead, freed behind
  double total = 0;
  for (int c = 0; c < image.channels; ++c) {
    int n_ready = 0;
    for (int y = 0; y < height; ++y) {
      for (; n_ready < std::min(height, y + kRadius + 1); ++n_ready) {
        rows[static_cast<size_t>(n_ready)].resize(static_cast<size_t>(image.width));
        filter_row(image, truth, n_ready, c, w, rows[static_cast<size_t>(n_ready)]);
      }
      for (size_t x = 0; x < static_cast<size_t>(image.width); ++x) {
        Moments sum{};
        for (int k = 0; k < kWindow; ++k) {
          const Moments& m = rows[static_cast<size_t>(reflect(y + k - kRadius, height))][x];
          for (size_t i = 0; i < kMoments; ++i) sum[i] += w[static_cast<size_t>(k)] * m[i];
        }
        total += similarity(sum);
      }
      // The last rows reflect back by kRadius.
      const int done = y - 2 * kRadius - 1;
      if (done >= 0) std::vector<Moments>().swap(rows[static_cast<size_t>(done)]);
    }
  }
  return total / static_cast<double>(image.pixels.size());
}

}  // namespace t3d::data
