#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

/// A roof with its ridge along y; sits at height z on a house of half sizes x and y.
Surface gable(float x, float y, float z, float rise) {
  return plate({{-x, 0}, {x, 0}, {0, rise}}, V(0, 0, z), V::UnitX(), V::UnitZ(), 2 * y);
}

void house(Maker& m) {
  const float x = m.in(0.8f, 1), y = m.in(0.9f, 1.3f), h = m.in(0.9f, 1.3f);
  m.main().add(box(V(0, 0, h / 2), V(2 * x, 2 * y, h)));
  m.second().add(gable(x + 0.18f, y + 0.18f, h, m.in(0.7f, 1.1f)));
  m.fixed("door", kWood).add(box(V(x, 0, 0.32f), V(0.06f, 0.4f, 0.64f)));
  m.fixed("windows", kGlass).pair(box(V(x, 0.58f * y, 0.6f * h), V(0.06f, 0.35f, 0.35f)));
}
void castle(Maker& m) {
  const float h = m.in(0.8f, 1.1f);
  m.main().add(box(V(0, 0, h / 2), V(1.8f, 1.8f, h)));
  for (const float s : {-1.0f, 1.0f}) {
    m.main().pair(cylinder(V(0.95f * s, 0.95f, 0), V(0.95f * s, 0.95f, h + 0.6f), 0.36f));
    m.second().pair(bar(V(0.95f * s, 0.95f, h + 0.6f), V(0.95f * s, 0.95f, h + 1.4f), 0.46f, 0));
  }
  m.fixed("gate", kWood).add(box(V(0.92f, 0, 0.3f), V(0.06f, 0.5f, 0.6f)));
}
void lighthouse(Maker& m) {
  const float h = m.in(1.9f, 2.4f);
  m.main().add(bar(V::Zero(), V(0, 0, h), 0.65f, 0.4f));
  m.fixed("lantern", kGlass).add(cylinder(V(0, 0, h), V(0, 0, h + 0.4f), 0.3f));
  m.second()
      .add(cylinder(V(0, 0, h), V(0, 0, h + 0.1f), 0.55f))
      .add(bar(V(0, 0, h + 0.4f), V(0, 0, h + 0.85f), 0.45f, 0));
}
void tower(Maker& m) {
  const float h = m.in(1.8f, 2.3f);
  m.main().add(cylinder(V::Zero(), V(0, 0, h), 0.6f));
  m.second().add(bar(V(0, 0, h), V(0, 0, h + 1.1f), 0.8f, 0));
  m.fixed("windows", kInk).around(box(V(0.58f, 0, 0.7f * h), V(0.08f, 0.2f, 0.35f)), 4);
}
void windmill(Maker& m) {
  const float h = m.in(1.6f, 2);
  m.main().add(bar(V::Zero(), V(0, 0, h), 0.75f, 0.5f)).add(ellipsoid(V(0, 0, h), V(0.5f, 0.5f, 0.4f)));
  const float first = m.in(0, 90);
  for (int i = 0; i < 4; ++i)
    m.second().add(box(V(0.72f, 0.1f, h + 0.8f), V(0.08f, 0.3f, 1.2f))
                       .turn(V::UnitX(), first + 90.0f * static_cast<float>(i), V(0, 0, h)));
  m.fixed("axle", kSteel).add(cylinder(V(0.3f, 0, h), V(0.8f, 0, h), 0.1f));
}
void tent(Maker& m) {
  const float h = m.in(1.1f, 1.5f);
  m.main().add(plate({{-1, 0}, {1, 0}, {0, h}}, V::Zero(), V::UnitY(), V::UnitZ(), 2.4f));
  m.second().add(
      plate({{-0.45f, 0}, {0.45f, 0}, {0, 0.75f * h}}, V(1.22f, 0, 0), V::UnitY(), V::UnitZ(), 0.06f));
  m.second().add(
      plate({{-0.45f, 0}, {0.45f, 0}, {0, 0.75f * h}}, V(-1.22f, 0, 0), V::UnitY(), V::UnitZ(), 0.06f));
}
void temple(Maker& m) {
  m.main().add(box(V(0, 0, 0.12f), V(2, 2.6f, 0.24f)));
  for (const float x : {-0.75f, 0.75f})
    for (const float y : {-1.05f, -0.35f, 0.35f, 1.05f})
      m.main().add(cylinder(V(x, y, 0.2f), V(x, y, 1.4f), 0.16f));
  m.second().add(box(V(0, 0, 1.45f), V(2, 2.6f, 0.16f)));
  m.second().add(
      plate({{-1.3f, 0}, {1.3f, 0}, {0, m.in(0.5f, 0.8f)}}, V(0, 0, 1.5f), V::UnitY(), V::UnitZ(), 2));
}

}  // namespace

std::vector<Kind> building_kinds() {
  return {
      {"house",
       "houses",
       "roof",
       false,
       {"white", "yellow"},
       {"red", "brown"},
       {"home", "hut", "cottage"},
       house},
      {"castle", "castles", "roofs", true, {"gray"}, {"red", "blue"}, {}, castle},
      {"lighthouse", "lighthouses", "top", false, {"white"}, {"red"}, {}, lighthouse},
      {"tower", "towers", "roof", false, {"gray", "white"}, {"red", "blue"}, {}, tower},
      {"windmill", "windmills", "blades", true, {"white", "brown"}, {"red", "brown"}, {}, windmill},
      {"tent", "tents", "door", false, {"green", "orange"}, {"brown", "white"}, {}, tent},
      {"temple", "temples", "roof", false, {"white"}, {"red", "gray"}, {}, temple},
  };
}

}  // namespace t3d::toybox
