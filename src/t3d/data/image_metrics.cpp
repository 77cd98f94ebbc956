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

void check_mask(const io::ImageF& image, const io::Image8& mask) {
  T3D_CHECK(mask.empty() || (mask.width == image.width && mask.height == image.height && mask.channels == 1),
            "mask of ", mask.width, "x", mask.height, "x", mask.channels);
}

/// `truth` with the image's own values where the mask is 0.
io::ImageF fill_masked(const io::ImageF& truth, const io::ImageF& image, const io::Image8& mask) {
  io::ImageF filled = truth;
  const auto n = static_cast<size_t>(image.channels);
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    if (mask.pixels[i] == 0) std::copy_n(image.pixels.data() + n * i, n, filled.pixels.data() + n * i);
  return filled;
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

double psnr(const io::ImageF& image, const io::ImageF& truth, const io::Image8& mask) {
  check_sizes(image, truth);
  check_mask(image, mask);
  const auto n = static_cast<size_t>(image.channels);
  double sum = 0;
  size_t n_pixels = 0;
  for (size_t i = 0; i < image.pixels.size() / n; ++i) {
    if (!mask.empty() && mask.pixels[i] == 0) continue;
    ++n_pixels;
    for (size_t c = n * i; c < n * (i + 1); ++c) {
      const double d = static_cast<double>(image.pixels[c]) - truth.pixels[c];
      sum += d * d;
    }
  }
  if (n_pixels == 0) return std::numeric_limits<double>::quiet_NaN();
  if (sum == 0) return std::numeric_limits<double>::infinity();
  return -10 * std::log10(sum / static_cast<double>(n_pixels * n));
}

double ssim(const io::ImageF& image, const io::ImageF& original, const io::Image8& mask) {
  check_sizes(image, original);
  check_mask(image, mask);
  T3D_CHECK(image.width > kRadius && image.height > kRadius, "image of ", image.width, "x", image.height);
  const io::ImageF filled = mask.empty() ? io::ImageF{} : fill_masked(original, image, mask);
  const io::ImageF& truth = mask.empty() ? original : filled;
  const std::array<double, kWindow> w = gaussian();
  const int height = image.height;
  std::vector<std::vector<Moments>> rows(static_cast<size_t>(height));  // filled ahead, freed behind
  double total = 0;
  size_t n_values = 0;
  for (int c = 0; c < image.channels; ++c) {
    int n_ready = 0;
    for (int y = 0; y < height; ++y) {
      for (; n_ready < std::min(height, y + kRadius + 1); ++n_ready) {
        rows[static_cast<size_t>(n_ready)].resize(static_cast<size_t>(image.width));
        filter_row(image, truth, n_ready, c, w, rows[static_cast<size_t>(n_ready)]);
      }
      for (int x = 0; x < image.width; ++x) {
        if (!mask.empty() && *mask.at(x, y) == 0) continue;
        Moments sum{};
        for (int k = 0; k < kWindow; ++k) {
          const Moments& m =
              rows[static_cast<size_t>(reflect(y + k - kRadius, height))][static_cast<size_t>(x)];
          for (size_t i = 0; i < kMoments; ++i) sum[i] += w[static_cast<size_t>(k)] * m[i];
        }
        total += similarity(sum);
        ++n_values;
      }
      // The last rows reflect back by kRadius.
      const int done = y - 2 * kRadius - 1;
      if (done >= 0) std::vector<Moments>().swap(rows[static_cast<size_t>(done)]);
    }
  }
  return n_values == 0 ? std::numeric_limits<double>::quiet_NaN() : total / static_cast<double>(n_values);
}

}  // namespace t3d::data
