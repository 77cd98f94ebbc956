#include "t3d/evaluate/colour_shares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "t3d/core/error.h"
#include "t3d/math/srgb.h"
#include "t3d/toybox/palette.h"

namespace t3d::evaluate {
namespace {

constexpr int kBits = 6, kSide = 1 << kBits;                          // of the table
constexpr float kDarkest = 0.15f, kBrightest = 2.0f, kUsual = 0.75f;  // brightness of an object's pixels
constexpr int kSteps = 24;
constexpr float kGloss = 0.02f;  // what even a black surface reflects of white light
constexpr float kPenalty = 7;    // L*a*b* distance of a brightness e times the usual one
constexpr float kLargestReach = 20, kBeyondNoise = 1.5f;

Vec3f linear_to_srgb(const Vec3f& linear) {
  return linear.unaryExpr([](float c) { return srgb_from_linear(std::clamp(c, 0.0f, 1.0f)); });
}

std::vector<uint8_t> make_table() {
  struct Candidate {
    Vec3f lab;
    float penalty;
    uint8_t word;
  };
  std::vector<Candidate> candidates;
  const auto& palette = toybox::palette();
  for (size_t word = 0; word < palette.size(); ++word) {
    const Vec3f linear = toybox::srgb_to_linear(palette[word].srgb) + Vec3f::Constant(kGloss);
    for (int i = 0; i <= kSteps; ++i) {
      const float k = kDarkest * std::pow(kBrightest / kDarkest, static_cast<float>(i) / kSteps);
      const float far = kPenalty * std::log(k / kUsual);
      candidates.push_back(
          {toybox::srgb_to_lab(linear_to_srgb(k * linear)), far * far, static_cast<uint8_t>(word)});
    }
  }
  std::vector<uint8_t> table(size_t{kSide} * kSide * kSide);
#pragma omp parallel for
  for (int r = 0; r < kSide; ++r)
    for (int g = 0; g < kSide; ++g)
      for (int b = 0; b < kSide; ++b) {
        const Vec3f cell = (Vec3f(static_cast<float>(r), static_cast<float>(g), static_cast<float>(b)) +
                            Vec3f::Constant(0.5f)) /
                           kSide;
        const Vec3f lab = toybox::srgb_to_lab(cell);
        float best = std::numeric_limits<float>::infinity();
        uint8_t word = 0;
        for (const Candidate& c : candidates) {
          const float distance = (c.lab - lab).squaredNorm() + c.penalty;
          if (distance < best) best = distance, word = c.word;
        }
        table[(static_cast<size_t>(r) * kSide + g) * kSide + b] = word;
      }
  return table;
}

Vec3f colour_at(const uint8_t* p) {
  return Vec3f(p[0], p[1], p[2]) / 255;
}

float quantile(std::vector<float>& values, double q) {
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size()));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

/// The colour word of every pixel, -1 for the background.
std::vector<int> words_of(const io::Image8& view, const Backdrop& backdrop) {
  const Vec3f behind = toybox::srgb_to_lab(backdrop.srgb);
  std::vector<int> words;
  for (int y = 0; y < view.height; ++y)
    for (int x = 0; x < view.width; ++x) {
      const uint8_t* p = view.at(x, y);
      const bool is_object = (toybox::srgb_to_lab(colour_at(p)) - behind).norm() >= backdrop.reach;
      words.push_back(is_object ? static_cast<int>(shaded_colour(p)) : -1);
    }
  return words;
}

/// First and last row of the object, but for a hundredth of its pixels at either end.
std::pair<double, double> rows_of_object(const std::vector<int>& words, int width) {
  std::vector<size_t> rows;
  for (size_t i = 0; i < words.size(); ++i)
    if (words[i] >= 0) rows.push_back(i / static_cast<size_t>(width));
  if (rows.empty()) return {0, 0};
  const size_t tail = rows.size() / 100;
  return {static_cast<double>(rows[tail]), static_cast<double>(rows[rows.size() - 1 - tail])};
}

}  // namespace

size_t shaded_colour(const uint8_t* srgb) {
  static const std::vector<uint8_t> table = make_table();
  constexpr int kShift = 8 - kBits;
  return table[(static_cast<size_t>(srgb[0] >> kShift) * kSide + (srgb[1] >> kShift)) * kSide +
               (srgb[2] >> kShift)];
}

Backdrop backdrop_of(const io::Image8& picture) {
  std::vector<const uint8_t*> border;
  for (int y = 0; y < picture.height; ++y)
    for (int x = 0; x < picture.width; ++x)
      if (x == 0 || y == 0 || x == picture.width - 1 || y == picture.height - 1)
        border.push_back(picture.at(x, y));
  T3D_CHECK(!border.empty(), "an empty picture");
  Backdrop out;
  for (int k = 0; k < 3; ++k) {
    std::vector<float> values;
    for (const uint8_t* p : border) values.push_back(colour_at(p)[k]);
    out.srgb[k] = quantile(values, 0.5);
  }
  const Vec3f behind = toybox::srgb_to_lab(out.srgb);
  std::vector<float> distances;
  for (const uint8_t* p : border) distances.push_back((toybox::srgb_to_lab(colour_at(p)) - behind).norm());
  out.reach = std::clamp(kBeyondNoise * quantile(distances, 0.95), out.reach, kLargestReach);
  return out;
}

io::Image8 before_colour(const io::Image8& rgba, const Vec3f& srgb) {
  io::Image8 out(rgba.width, rgba.height, 3);
  for (int y = 0; y < rgba.height; ++y)
    for (int x = 0; x < rgba.width; ++x) {
      const uint8_t* from = rgba.at(x, y);
      const float alpha = static_cast<float>(from[3]) / 255;
      for (int k = 0; k < 3; ++k)
        out.at(x, y)[k] = static_cast<uint8_t>(
            std::lround(static_cast<float>(from[k]) * alpha + 255 * srgb[k] * (1 - alpha)));
    }
  return out;
}

ColourShares colour_shares(const std::vector<io::Image8>& views, const std::vector<Backdrop>& backdrops) {
  T3D_CHECK(views.size() == backdrops.size(), views.size(), " views, ", backdrops.size(), " backdrops");
  const size_t n_words = toybox::palette().size();
  ColourShares out(n_words);
  double n = 0;
  for (size_t v = 0; v < views.size(); ++v) {
    const io::Image8& view = views[v];
    const auto words = words_of(view, backdrops[v]);
    const auto [top, bottom] = rows_of_object(words, view.width);
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] < 0) continue;
      ColourShare& to = out[static_cast<size_t>(words[i])];
      const double row = static_cast<double>(i / static_cast<size_t>(view.width));
      to.share += 1;
      to.height += std::clamp((bottom - row) / std::max(1.0, bottom - top), 0.0, 1.0);
      n += 1;
    }
  }
  for (ColourShare& word : out) {
    if (word.share > 0) word.height /= word.share;
    if (n > 0) word.share /= n;
  }
  return out;
}

}  // namespace t3d::evaluate
