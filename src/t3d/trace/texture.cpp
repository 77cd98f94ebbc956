#include "t3d/trace/texture.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "t3d/math/srgb.h"

namespace t3d::trace {
namespace {

using CodeTable = std::array<float, 256>;

/// Linear value of each 8-bit code, sRGB or linear.
template <class Function>
CodeTable make_table(Function value_of) {
  CodeTable values{};
  for (int i = 0; i < 256; ++i) values[static_cast<size_t>(i)] = value_of(static_cast<float>(i) / 255.0f);
  return values;
}

const CodeTable& table(bool is_srgb) {
  static const CodeTable srgb = make_table(linear_from_srgb), linear = make_table([](float v) { return v; });
  return is_srgb ? srgb : linear;
}

/// `t`, which may be of any size, in the one period that decides its texel.
float reduced(float t, io::Wrap wrap) {
  if (!std::isfinite(t)) return 0.0f;
  switch (wrap) {
    case io::Wrap::Repeat:
      return t - std::floor(t);
    case io::Wrap::Mirror:
      return t - 2.0f * std::floor(0.5f * t);
    case io::Wrap::Clamp:
      break;
  }
  return std::clamp(t, 0.0f, 1.0f);
}

int texel_index(int i, int n, io::Wrap wrap) {
  switch (wrap) {
    case io::Wrap::Repeat:
      return (i % n + n) % n;
    case io::Wrap::Mirror: {
      const int period = (i % (2 * n) + 2 * n) % (2 * n);
      return period < n ? period : 2 * n - 1 - period;
    }
    case io::Wrap::Clamp:
      break;
  }
  return std::clamp(i, 0, n - 1);
}

}  // namespace

Vec4f sample_texture(const io::Image8& texture, const io::TextureSlot& slot, const Vec2f& uv, bool is_srgb) {
  const CodeTable& codes = table(is_srgb);
  const Vec2f at = slot.transformed(uv);
  const float x = reduced(at.x(), slot.wrap_u) * static_cast<float>(texture.width);
  const float y = (1.0f - reduced(at.y(), slot.wrap_v)) * static_cast<float>(texture.height);
  const auto texel = [&](int px, int py) {
    const uint8_t* p =
        texture.at(texel_index(px, texture.width, slot.wrap_u), texel_index(py, texture.height, slot.wrap_v));
    return Vec4f(codes[p[0]], codes[p[1]], codes[p[2]], static_cast<float>(p[3]) / 255.0f);
  };
  if (slot.filter == io::Filter::Nearest)
    return texel(static_cast<int>(std::floor(x)), static_cast<int>(std::floor(y)));
  const float left = std::floor(x - 0.5f), top = std::floor(y - 0.5f);
  const float fx = x - 0.5f - left, fy = y - 0.5f - top;
  const int x0 = static_cast<int>(left), y0 = static_cast<int>(top);
  Vec4f sum = (1 - fx) * (1 - fy) * texel(x0, y0);
  sum += fx * (1 - fy) * texel(x0 + 1, y0);
  sum += (1 - fx) * fy * texel(x0, y0 + 1);
  sum += fx * fy * texel(x0 + 1, y0 + 1);
  return sum;
}

}  // namespace t3d::trace
