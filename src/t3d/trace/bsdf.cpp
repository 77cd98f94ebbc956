#include "t3d/trace/bsdf.h"

#include <algorithm>
#include <cmath>

namespace t3d::trace {
namespace {

constexpr float kPi = 3.14159265358979f;

float ggx_d(float cos_h, float alpha) {
  const float a2 = alpha * alpha, d = cos_h * cos_h * (a2 - 1.0f) + 1.0f;
  return a2 / (kPi * d * d);
}

/// Smith's masking of one direction.
float g1(float cosine, float alpha) {
  const float a2 = alpha * alpha;
  return 2.0f * cosine / (cosine + std::sqrt(a2 + (1.0f - a2) * cosine * cosine));
}

Vec3f schlick(const Vec3f& f0, float cosine) {
  const float m = std::clamp(1.0f - cosine, 0.0f, 1.0f), m2 = m * m;
  return f0 + (Vec3f::Ones() - f0) * (m2 * m2 * m);
}

Vec3f visible_normal(const Vec3f& out, float alpha, const Vec2f& u) {
  const Vec3f v = Vec3f(alpha * out.x(), alpha * out.y(), out.z()).normalized();
  const float length2 = v.x() * v.x() + v.y() * v.y();
  const Vec3f t1 = length2 > 0 ? Vec3f(Vec3f(-v.y(), v.x(), 0) / std::sqrt(length2)) : Vec3f(1, 0, 0);
  const Vec3f t2 = v.cross(t1);
  const float r = std::sqrt(u.x()), phi = 2.0f * kPi * u.y();
  const float p1 = r * std::cos(phi), s = 0.5f * (1.0f + v.z());
  const float p2 = (1.0f - s) * std::sqrt(std::max(0.0f, 1.0f - p1 * p1)) + s * r * std::sin(phi);
  const Vec3f n = p1 * t1 + p2 * t2 + std::sqrt(std::max(0.0f, 1.0f - p1 * p1 - p2 * p2)) * v;
  return Vec3f(alpha * n.x(), alpha * n.y(), std::max(1e-6f, n.z())).normalized();
}

}  // namespace

Bsdf::Bsdf(const Vec3f& base, float metallic, float roughness)
    : base(base),
      metallic(metallic),
      roughness(roughness),
      f0_((1.0f - metallic) * Vec3f::Constant(0.04f) + metallic * base),
      // Narrower lobes would need their own connection to the light to stay free of bright specks.
      alpha_(std::max(0.1f, roughness) * std::max(0.1f, roughness)) {
  const float specular = f0_.mean(), diffuse = (1.0f - metallic) * base.mean();
  specular_chance_ = std::clamp(specular / std::max(1e-6f, specular + diffuse), 0.1f, 1.0f);
  if (metallic >= 1.0f) specular_chance_ = 1.0f;
}

Vec3f Bsdf::evaluate(const Vec3f& out, const Vec3f& in) const {
  if (out.z() <= 0 || in.z() <= 0) return Vec3f::Zero();
  const Vec3f half = (out + in).normalized();
  const Vec3f fresnel = schlick(f0_, out.dot(half));
  const float specular =
      ggx_d(half.z(), alpha_) * g1(out.z(), alpha_) * g1(in.z(), alpha_) / (4.0f * out.z() * in.z());
  // The base receives what the coat lets in and out again, so that no direction returns more than it got.
  const Vec3f through =
      (Vec3f::Ones() - schlick(f0_, out.z())).cwiseProduct(Vec3f::Ones() - schlick(f0_, in.z()));
  return fresnel * specular + (1.0f - metallic) / kPi * base.cwiseProduct(through);
}

float Bsdf::pdf(const Vec3f& out, const Vec3f& in) const {
  if (out.z() <= 0 || in.z() <= 0) return 0.0f;
  const Vec3f half = (out + in).normalized();
  const float specular = ggx_d(half.z(), alpha_) * g1(out.z(), alpha_) / (4.0f * out.z());
  return specular_chance_ * specular + (1.0f - specular_chance_) * in.z() / kPi;
}

Bsdf::Sample Bsdf::sample(const Vec3f& out, float choice, const Vec2f& u) const {
  Vec3f in;
  if (choice < specular_chance_) {
    const Vec3f half = visible_normal(out, alpha_, u);
    in = 2.0f * out.dot(half) * half - out;
  } else {
    const float r = std::sqrt(u.x()), phi = 2.0f * kPi * u.y();
    in = Vec3f(r * std::cos(phi), r * std::sin(phi), std::sqrt(std::max(0.0f, 1.0f - u.x())));
  }
  const float density = pdf(out, in);
  if (in.z() <= 0 || density <= 1e-9f) return {in, Vec3f::Zero()};
  return {in, evaluate(out, in) * (in.z() / density)};
}

}  // namespace t3d::trace
