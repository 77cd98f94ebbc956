#include "t3d/data/image_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace t3d::data {
namespace {

io::ImageF noise(int width, int height, int channels, uint32_t seed) {
  io::ImageF image(width, height, channels);
  uint32_t state = seed * 2654435761u + 1;
  for (float& v : image.pixels) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(state >> 8) / 16777216.0f;
  }
  return image;
}

io::ImageF constant(int side, float value) {
  io::ImageF image(side, side, 3);
  for (float& v : image.pixels) v = value;
  return image;
}

/// Directly from the definition: a padded copy, the two-dimensional window at every pixel.
double slow_ssim(const io::ImageF& a, const io::ImageF& b) {
  const auto reflect = [](int i, int n) { return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i; };
  double total = 0;
  for (int c = 0; c < a.channels; ++c)
    for (int y = 0; y < a.height; ++y)
      for (int x = 0; x < a.width; ++x) {
        double sum = 0, ma = 0, mb = 0, maa = 0, mbb = 0, mab = 0;
        for (int j = -5; j <= 5; ++j)
          for (int i = -5; i <= 5; ++i) {
            const double w = std::exp(-(i * i + j * j) / (2 * 1.5 * 1.5));
            const double p = a.at(reflect(x + i, a.width), reflect(y + j, a.height))[c];
            const double q = b.at(reflect(x + i, a.width), reflect(y + j, a.height))[c];
            sum += w, ma += w * p, mb += w * q, maa += w * p * p, mbb += w * q * q, mab += w * p * q;
          }
        ma /= sum, mb /= sum, maa /= sum, mbb /= sum, mab /= sum;
        total += (2 * ma * mb + 1e-4) * (2 * (mab - ma * mb) + 9e-4) /
                 ((ma * ma + mb * mb + 1e-4) * (maa - ma * ma + mbb - mb * mb + 9e-4));
      }
  return total / static_cast<double>(a.pixels.size());
}

TEST(Psnr, ConstantDifferenceHasAClosedForm) {
  EXPECT_NEAR(psnr(constant(8, 0.5f), constant(8, 0.6f)), 20.0, 1e-4);
  EXPECT_NEAR(psnr(constant(8, 0.5f), constant(8, 0.51f)), 40.0, 1e-3);
  EXPECT_TRUE(std::isinf(psnr(constant(8, 0.5f), constant(8, 0.5f))));
}

TEST(Ssim, IsOneForEqualImages) {
  EXPECT_NEAR(ssim(noise(20, 16, 3, 1), noise(20, 16, 3, 1)), 1.0, 1e-12);
}

TEST(Ssim, ConstantImagesHaveAClosedForm) {
  const double a = 0.25f, b = 0.75f;
  EXPECT_NEAR(ssim(constant(16, 0.25f), constant(16, 0.75f)), (2 * a * b + 1e-4) / (a * a + b * b + 1e-4),
              1e-9);
}

TEST(Ssim, MatchesTheDefinition) {
  for (const auto& [width, height] : {std::pair{23, 17}, std::pair{6, 31}, std::pair{40, 6}}) {
    const io::ImageF a = noise(width, height, 3, 1);
    io::ImageF b = noise(width, height, 3, 2);
    for (size_t i = 0; i < b.pixels.size(); ++i) b.pixels[i] = 0.7f * a.pixels[i] + 0.3f * b.pixels[i];
    EXPECT_NEAR(ssim(a, b), slow_ssim(a, b), 1e-9) << width << "x" << height;
  }
}

TEST(Metrics, LeaveOutWhatAMaskHides) {
  io::ImageF image(24, 16, 3), truth(24, 16, 3);
  io::Image8 mask(24, 16, 1);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 24; ++x) {
      *mask.at(x, y) = x >= 8 ? 255 : 0;
      for (int c = 0; c < 3; ++c) {
        truth.at(x, y)[c] = static_cast<float>((x * 5 + y * 3 + c) % 7) / 7.0f;
        image.at(x, y)[c] = x >= 8 ? truth.at(x, y)[c] : 0.3f;
      }
    }
  EXPECT_TRUE(std::isinf(psnr(image, truth, mask)));
  EXPECT_DOUBLE_EQ(ssim(image, truth, mask), 1.0);
  EXPECT_LT(ssim(image, truth), 0.9);
  for (int y = 0; y < 16; ++y) image.at(8, y)[0] = truth.at(8, y)[0] + 0.1f;
  // 16 of the 16 * 16 * 3 values that count are off by 0.1.
  EXPECT_NEAR(psnr(image, truth, mask), -10 * std::log10(0.01 * 16 / (16 * 16 * 3)), 1e-3);
  EXPECT_LT(ssim(image, truth, mask), 1.0);
  io::Image8 all(24, 16, 1);
  all.pixels.assign(all.pixels.size(), 255);
  EXPECT_DOUBLE_EQ(psnr(image, truth, all), psnr(image, truth));
  EXPECT_DOUBLE_EQ(ssim(image, truth, all), ssim(image, truth));
  EXPECT_TRUE(std::isnan(psnr(image, truth, io::Image8(24, 16, 1))));
}

}  // namespace
}  // namespace t3d::data
