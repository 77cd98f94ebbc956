#include "t3d/trace/bsdf.h"

#include <algorithm>
#include <cmath>

#include "t3d/math/ggx.h"

namespace t3d::trace {
namespace {

constexpr float kPi = 3.14159265358979f;
constexpr float kMinAlpha = 0.01f;

Vec3f schlick(const Vec3f& f0, float f90, float cosine) {
  const float m = std::clamp(1.0f - cosine, 0.0f, 1.0f), m2 = m * m;
  return f0 + (Vec3f::Constant(f90) - f0) * (m2 * m2 * m);
}

/// ggx_albedo() by the cosine of the viewing direction and by width. a + b is below 1 by what bounces between
/// microfacets.
class LobeAlbedo {
 public:
  static constexpr int kCosines = 32, kWidths = 16, kSide = 16;
  using Entry = GgxAlbedo;

  LobeAlbedo() {
    for (int w = 0; w < kWidths; ++w) {
      const float alpha = kMinAlpha + (1.0f - kMinAlpha) * static_cast<float>(w) / (kWidths - 1);
      Entry sum;
      float total = 0;
      for (int c = 0; c < kCosines; ++c) {
        const float cosine = std::max(1e-3f, static_cast<float>(c) / (kCosines - 1));
        const Entry entry = table_[w][c] = ggx_albedo(cosine, alpha, kSide);
        sum.a += cosine * entry.a;
        sum.b += cosine * entry.b;
        total += cosine;
      }
      mean_[w] = {sum.a / total, sum.b / total};
    }
  }

  Entry at(float cosine, float alpha) const {
    const auto [w, fw] = position((alpha - kMinAlpha) / (1.0f - kMinAlpha), kWidths);
    const auto [c, fc] = position(cosine, kCosines);
    const auto mix = [&](float Entry::*part) {
      const float low = table_[w][c].*part * (1 - fc) + table_[w][c + 1].*part * fc;
      const float high = table_[w + 1][c].*part * (1 - fc) + table_[w + 1][c + 1].*part * fc;
      return low * (1 - fw) + high * fw;
    };
    return {mix(&Entry::a), mix(&Entry::b)};
  }

  /// Mean over cosine-distributed directions.
  Entry mean(float alpha) const {
    const auto [w, fw] = position((alpha - kMinAlpha) / (1.0f - kMinAlpha), kWidths);
    return {mean_[w].a * (1 - fw) + mean_[w + 1].a * fw, mean_[w].b * (1 - fw) + mean_[w + 1].b * fw};
  }

 private:
  static std::pair<int, float> position(float x, int n) {
    const float scaled = std::clamp(x, 0.0f, 1.0f) * static_cast<float>(n - 1);
    const int i = std::min(static_cast<int>(scaled), n - 2);
    return {i, scaled - static_cast<float>(i)};
  }

  Entry table_[kWidths][kCosines];
  Entry mean_[kWidths];
};

const LobeAlbedo& lobe_albedo() {
  static const LobeAlbedo table;
  return table;
}

/// Fraction of the light that a dielectric's coat returns by itself, light between microfacets included.
float coat_albedo(float f0, float f90, float cosine, float alpha) {
  const auto [a, b] = lobe_albedo().at(cosine, alpha);
  return std::min(0.999f, (f0 * a + f90 * b) * (1.0f + f0 * (1.0f / (a + b) - 1.0f)));
}

}  // namespace

Bsdf::Bsdf(const Vec3f& base, float metallic, float roughness, const Vec3f& specular)
    : base(base),
      metallic(metallic),
      roughness(roughness),
      f0_((1.0f - metallic) * specular + metallic * base),
      coat_f0_(specular.maxCoeff()),
      // Below a fiftieth no matter reflects straight on: such a coat is meant to be weak along the surface
      // too.
      coat_f90_(std::min(1.0f, 50.0f * coat_f0_)),
      // Narrower lobes would need their own connection to the light to stay free of bright specks.
      alpha_(std::max(0.1f, roughness) * std::max(0.1f, roughness)) {
  f90_ = (1.0f - metallic) * coat_f90_ + metallic;
  const float mirrored = f0_.mean(), diffuse = (1.0f - metallic) * base.mean();
  specular_chance_ = std::clamp(mirrored / std::max(1e-6f, mirrored + diffuse), 0.1f, 1.0f);
  if (metallic >= 1.0f) specular_chance_ = 1.0f;
  const auto [a, b] = lobe_albedo().mean(alpha_);
  base_scale_ = (1.0f - metallic) / (kPi * std::max(0.001f, 1.0f - (coat_f0_ * a + coat_f90_ * b)));
}

Vec3f Bsdf::evaluate(const Vec3f& out, const Vec3f& in) const {
  if (out.z() <= 0 || in.z() <= 0) return Vec3f::Zero();
  const Vec3f half = (out + in).normalized();
  const Vec3f fresnel = schlick(f0_, f90_, out.dot(half));
  const float specular =
      ggx_d(half.z(), alpha_) * ggx_g1(out.z(), alpha_) * ggx_g1(in.z(), alpha_) / (4.0f * out.z() * in.z());
  // Light that a single bounce loses between microfacets comes back tinted once more (Turquin 2019).
  const auto [a, b] = lobe_albedo().at(out.z(), alpha_);
  const Vec3f between = Vec3f::Ones() + f0_ * (1.0f / (a + b) - 1.0f);
  const Vec3f lobe = fresnel.cwiseProduct(between) * specular;
  if (base_scale_ <= 0) return lobe;
  // The base returns what the coat does not: a white one returns exactly what it got (Kulla, Conty 2017).
  const float through = (1.0f - coat_albedo(coat_f0_, coat_f90_, out.z(), alpha_)) *
                        (1.0f - coat_albedo(coat_f0_, coat_f90_, in.z(), alpha_));
  return lobe + base * (base_scale_ * through);
}

float Bsdf::pdf(const Vec3f& out, const Vec3f& in) const {
  if (out.z() <= 0 || in.z() <= 0) return 0.0f;
  const Vec3f half = (out + in).normalized();
  const float specular = ggx_d(half.z(), alpha_) * ggx_g1(out.z(), alpha_) / (4.0f * out.z());
  return specular_chance_ * specular + (1.0f - specular_chance_) * in.z() / kPi;
}

Bsdf::Sample Bsdf::sample(const Vec3f& out, float choice, const Vec2f& u) const {
  Vec3f in;
  if (choice < specular_chance_) {
    const Vec3f half = ggx_visible_normal(out, alpha_, u);
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
