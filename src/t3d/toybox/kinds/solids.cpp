#include <algorithm>
#include <cmath>

#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

/// A polygon in the (y,z) plane, thick along x.
Surface upright_plate(const std::vector<Vec2f>& polygon, float thickness) {
  return plate(polygon, V::Zero(), V::UnitY(), V::UnitZ(), thickness);
}

void sphere(Maker& m) {
  m.main().add(ball(V::Zero(), 1));
}
void cube(Maker& m) {
  m.main().add(box(V::Zero(), V(2, 2, 2)));
}
void cylinder_kind(Maker& m) {
  const float h = m.in(0.7f, 1.3f);
  m.main().add(cylinder(V(0, 0, -h), V(0, 0, h), 0.8f));
}
void cone(Maker& m) {
  m.main().add(bar(V::Zero(), V(0, 0, m.in(1.7f, 2.6f)), 1, 0));
}
void donut(Maker& m) {
  m.main().add(torus(V::Zero(), V::UnitZ(), 1, m.in(0.35f, 0.5f)));
}
void pyramid(Maker& m) {
  m.main().add(bar(V::Zero(), V(0, 0, m.in(1.2f, 1.8f)), 1.3f, 0, 4).turn(V::UnitZ(), 45));
}
void capsule(Maker& m) {
  const float h = m.in(0.6f, 1.0f);
  m.main().add(tube({V(0, 0, -h), V(0, 0, h)}, {0.6f, 0.6f}));
}
void star(Maker& m) {
  std::vector<Vec2f> corners;
  const float inner = m.in(0.42f, 0.52f);
  for (int i = 0; i < 10; ++i) {
    const float a = static_cast<float>(M_PI) * (0.5f + 0.2f * static_cast<float>(i)),
                r = i % 2 ? inner : 1.0f;
    corners.emplace_back(r * std::cos(a), r * std::sin(a));
  }
  m.main().add(upright_plate(corners, m.in(0.35f, 0.55f)));
}
void heart(Maker& m) {
  std::vector<Vec2f> corners;
  for (int i = 0; i < 48; ++i) {
    const float t = 2 * static_cast<float>(M_PI) * static_cast<float>(i) / 48;
    corners.emplace_back(
        std::pow(std::sin(t), 3.0f),
        (13 * std::cos(t) - 5 * std::cos(2 * t) - 2 * std::cos(3 * t) - std::cos(4 * t)) / 16);
  }
  if (corners[1].x() > 0) std::reverse(corners.begin(), corners.end());
  m.main().add(upright_plate(corners, m.in(0.5f, 0.8f)));
}
void diamond(Maker& m) {
  const float h = m.in(0.3f, 0.45f);
  m.main().add(lathe({{0, -1.2f}, {1, 0}, {0.6f, h}}, V::Zero(), 8));
}

}  // namespace

std::vector<Kind> solid_kinds() {
  return {
      {"sphere", "spheres", "", false, {}, {}, {"ball", "orb"}, sphere},
      {"cube", "cubes", "", false, {}, {}, {"box", "block"}, cube},
      {"cylinder", "cylinders", "", false, {}, {}, {}, cylinder_kind},
      {"cone", "cones", "", false, {}, {}, {}, cone},
      {"donut", "donuts", "", false, {"brown", "pink"}, {}, {"torus", "doughnut"}, donut},
      {"pyramid", "pyramids", "", false, {"yellow", "orange"}, {}, {}, pyramid},
      {"capsule", "capsules", "", false, {}, {}, {"pill"}, capsule},
      {"star", "stars", "", false, {"yellow"}, {}, {}, star},
      {"heart", "hearts", "", false, {"red", "pink"}, {}, {}, heart},
      {"diamond", "diamonds", "", false, {"cyan", "white"}, {}, {"gem", "crystal"}, diamond},
  };
}

}  // namespace t3d::toybox
