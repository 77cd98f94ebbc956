#include "t3d/math/ggx.h"

#include <algorithm>
#include <cmath>

namespace t3d {

Vec3f ggx_visible_normal(const Vec3f& out, float alpha, const Vec2f& u) {
  const Vec3f v = Vec3f(alpha * out.x(), alpha * out.y(), out.z()).normalized();
  const float length2 = v.x() * v.x() + v.y() * v.y();
  const Vec3f t1 = length2 > 0 ? Vec3f(Vec3f(-v.y(), v.x(), 0) / std::sqrt(length2)) : Vec3f(1, 0, 0);
  const Vec3f t2 = v.cross(t1);
  constexpr float kPi = 3.14159265358979f;
  const float r = std::sqrt(u.x()), phi = 2.0f * kPi * u.y();
  const float p1 = r * std::cos(phi), s = 0.5f * (1.0f + v.z());
  const float p2 = (1.0f - s) * std::sqrt(std::max(0.0f, 1.0f - p1 * p1)) + s * r * std::sin(phi);
  const Vec3f n = p1 * t1 + p2 * t2 + std::sqrt(std::max(0.0f, 1.0f - p1 * p1 - p2 * p2)) * v;
  return Vec3f(alpha * n.x(), alpha * n.y(), std::max(1e-6f, n.z())).normalized();
}

GgxAlbedo ggx_albedo(float cosine, float alpha, int n_side) {
  const Vec3f out(std::sqrt(1.0f - cosine * cosine), 0, cosine);
  GgxAlbedo sum;
  const auto side = static_cast<float>(n_side);
  for (int i = 0; i < n_side * n_side; ++i) {
    const Vec2f u((static_cast<float>(i % n_side) + 0.5f) / side,
                  (static_cast<float>(i / n_side) + 0.5f) / side);
    const Vec3f half = ggx_visible_normal(out, alpha, u);
    const Vec3f in = 2.0f * out.dot(half) * half - out;
    if (in.z() <= 0) continue;
    const float m = std::clamp(1.0f - out.dot(half), 0.0f, 1.0f), m2 = m * m;
    const float fresnel = m2 * m2 * m;
    sum.a += (1.0f - fresnel) * ggx_g1(in.z(), alpha);
    sum.b += fresnel * ggx_g1(in.z(), alpha);
  }
  const float n = side * side;
  return {sum.a / n, sum.b / n};
}

}  // namespace t3d
