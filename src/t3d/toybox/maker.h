#pragma once

#include <string>
#include <utility>
#include <vector>

#include "t3d/core/rng.h"
#include "t3d/toybox/surface.h"

namespace t3d::toybox {

/// Whose colour a part takes: the object's first colour, its second one, or one of its own (eyes, tyres).
enum class Slot { Main, Second, Fixed };

struct MadePart {
  std::string name;  // "" for Main and Second: the kind's table names them
  Slot slot = Slot::Main;
  Vec3f colour = Vec3f::Zero();  // sRGB, Fixed only
  Surface surface;
};

inline const Vec3f kInk(0.06f, 0.06f, 0.07f), kChalk(0.93f, 0.93f, 0.92f), kTyre(0.13f, 0.13f, 0.14f),
    kGlass(0.55f, 0.72f, 0.82f), kSteel(0.62f, 0.64f, 0.67f), kWood(0.55f, 0.36f, 0.2f),
    kLeaf(0.2f, 0.5f, 0.18f), kStone(0.55f, 0.53f, 0.5f), kBlush(0.93f, 0.55f, 0.55f),
    kAmber(0.95f, 0.62f, 0.12f);

/// What the shapes are made with: z up, front on +x, any scale and place (the object is fitted afterwards).
/// Surfaces go to the part opened last; opening a part again adds to it.
class Maker {
 public:
  explicit Maker(Rng& rng) : rng_(rng) {}

  float in(float low, float high) { return rng_.uniform(low, high); }
  int pick(int n) { return static_cast<int>(rng_.below(static_cast<uint32_t>(n))); }

  Maker& main() { return open("", Slot::Main, Vec3f::Zero()); }
  Maker& second() { return open("", Slot::Second, Vec3f::Zero()); }
  Maker& fixed(const std::string& name, const Vec3f& srgb) { return open(name, Slot::Fixed, srgb); }

  Maker& add(const Surface& surface) {
    parts_[open_].surface.append(surface);
    return *this;
  }
  /// The surface and its mirror image on the other side (y).
  Maker& pair(const Surface& surface) {
    Surface other = surface;
    return add(surface).add(other.scale(Vec3f(1, -1, 1)));
  }
  /// The surface `n` times around the vertical.
  Maker& around(const Surface& surface, int n, float first_deg = 0) {
    for (int i = 0; i < n; ++i) {
      Surface copy = surface;
      add(copy.turn(Vec3f::UnitZ(), first_deg + 360.0f * static_cast<float>(i) / static_cast<float>(n)));
    }
    return *this;
  }

  std::vector<MadePart> take() { return std::move(parts_); }

 private:
  Maker& open(const std::string& name, Slot slot, const Vec3f& colour) {
    for (open_ = 0; open_ < parts_.size(); ++open_)
      if (parts_[open_].slot == slot && parts_[open_].name == name) return *this;
    parts_.push_back({name, slot, colour, {}});
    return *this;
  }

  Rng& rng_;
  std::vector<MadePart> parts_;
  size_t open_ = 0;
};

}  // namespace t3d::toybox
