#include "t3d/toybox/palette.h"

#include <algorithm>
#include <cmath>

#include "t3d/math/srgb.h"

namespace t3d::toybox {

const std::vector<PaletteColour>& palette() {
  static const std::vector<PaletteColour> table = {
      {"red", {0.83f, 0.1f, 0.1f}, 0.05f, {"crimson", "scarlet"}},
      {"orange", {0.95f, 0.5f, 0.08f}, 0.04f, {}},
      {"yellow", {0.95f, 0.85f, 0.12f}, 0.04f, {"golden", "gold"}},
      {"green", {0.13f, 0.58f, 0.2f}, 0.05f, {}},
      {"cyan", {0.15f, 0.78f, 0.82f}, 0.05f, {"turquoise", "teal", "aqua"}},
      {"blue", {0.12f, 0.27f, 0.82f}, 0.05f, {}},
      {"purple", {0.5f, 0.15f, 0.7f}, 0.05f, {"violet"}},
      {"pink", {0.96f, 0.55f, 0.72f}, 0.04f, {"rose"}},
      {"brown", {0.42f, 0.25f, 0.12f}, 0.04f, {}},
      {"black", {0.07f, 0.07f, 0.08f}, 0.03f, {}},
      {"gray", {0.5f, 0.5f, 0.51f}, 0.05f, {"grey", "silver"}},
      {"white", {0.93f, 0.93f, 0.92f}, 0.03f, {}},
  };
  return table;
}

const PaletteColour* find_colour(const std::string& name) {
  for (const PaletteColour& colour : palette())
    if (colour.name == name || std::find(colour.also.begin(), colour.also.end(), name) != colour.also.end())
      return &colour;
  return nullptr;
}

Vec3f draw_colour(const PaletteColour& colour, Rng& rng) {
  // Lightness moves the channels together, the rest is small: hue stays.
  const float light = rng.uniform(-colour.spread, colour.spread);
  Vec3f drawn;
  for (int k = 0; k < 3; ++k) drawn[k] = colour.srgb[k] + light + rng.uniform(-0.015f, 0.015f);
  return drawn.cwiseMax(0.02f).cwiseMin(0.98f);
}

Vec3f srgb_to_linear(const Vec3f& srgb) {
  return srgb.unaryExpr([](float c) { return linear_from_srgb(c); });
}

Vec3f srgb_to_lab(const Vec3f& srgb) {
  const Vec3f c = srgb_to_linear(srgb);
  const float x = (0.4124f * c.x() + 0.3576f * c.y() + 0.1805f * c.z()) / 0.95047f;
  const float y = 0.2126f * c.x() + 0.7152f * c.y() + 0.0722f * c.z();
  const float z = (0.0193f * c.x() + 0.1192f * c.y() + 0.9505f * c.z()) / 1.08883f;
  const auto f = [](float t) { return t > 0.008856f ? std::cbrt(t) : 7.787f * t + 16.0f / 116; };
  return {116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))};
}

const PaletteColour& nearest_colour(const Vec3f& srgb) {
  const Vec3f lab = srgb_to_lab(srgb);
  const auto distance = [&lab](const PaletteColour& c) { return (srgb_to_lab(c.srgb) - lab).squaredNorm(); };
  return *std::min_element(palette().begin(), palette().end(),
                           [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
}

}  // namespace t3d::toybox
