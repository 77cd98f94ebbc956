#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

void mug(Maker& m) {
  const float h = m.in(1.3f, 1.7f);
  m.main().add(lathe({{0.7f, 0}, {0.75f, h}, {0.63f, h}, {0.6f, 0.15f}, {0, 0.15f}}));
  m.second().add(tube(
      smooth({V(0, 0.7f, h * 0.8f), V(0, 1.15f, h * 0.75f), V(0, 1.2f, h * 0.4f), V(0, 0.68f, h * 0.22f)}, 5),
      std::vector<float>(16, 0.12f)));
}
void teapot(Maker& m) {
  m.main().add(lathe(curve({{0.5f, 0}, {0.95f, 0.5f}, {0.75f, 1.1f}, {0.4f, 1.25f}})));
  m.main().add(tube({V(0, 0.8f, 0.45f), V(0, 1.25f, 0.7f), V(0, 1.5f, 1.2f)}, {0.22f, 0.14f, 0.1f}));
  m.main().add(
      tube(smooth({V(0, -0.75f, 0.95f), V(0, -1.3f, 0.95f), V(0, -1.3f, 0.4f), V(0, -0.85f, 0.35f)}, 5),
           std::vector<float>(16, 0.1f)));
  m.second()
      .add(lathe(curve({{0.48f, 1.22f}, {0.3f, 1.4f}, {0.1f, 1.45f}})))
      .add(ball(V(0, 0, 1.58f), 0.17f));
}
void bottle(Maker& m) {
  const float h = m.in(1.2f, 1.7f);
  m.main().add(lathe(curve({{0.5f, 0}, {0.5f, h}, {0.18f, h + 0.45f}, {0.17f, h + 0.8f}})));
  m.second().add(cylinder(V(0, 0, h + 0.75f), V(0, 0, h + 1.05f), 0.22f));
}
void vase(Maker& m) {
  m.main().add(lathe(curve({{0.4f, 0}, {m.in(0.7f, 0.9f), 0.7f}, {0.3f, 1.4f}, {0.5f, 1.75f}})));
  for (const float y : {-0.4f, 0.0f, 0.4f}) {
    m.fixed("stalks", kLeaf).add(tube({V(0, 0, 1.6f), V(0.1f, y, 2.3f)}, {0.05f, 0.05f}));
    m.second().add(ball(V(0.1f, y, 2.35f + (y == 0 ? 0.2f : 0)), 0.24f));
  }
}
void candle(Maker& m) {
  const float h = m.in(1.3f, 2);
  m.main().add(cylinder(V::Zero(), V(0, 0, h), m.in(0.4f, 0.55f)));
  m.second().add(lathe(curve({{0, h}, {0.22f, h + 0.25f}, {0, h + 0.75f}})));
}
void gift_box(Maker& m) {
  const float h = m.in(1.2f, 2);
  m.main().add(box(V(0, 0, h / 2), V(2, 2, h)));
  m.second()
      .add(box(V(0, 0, h / 2), V(0.4f, 2.06f, h + 0.06f)))
      .add(box(V(0, 0, h / 2), V(2.06f, 0.4f, h + 0.06f)));
  m.second().pair(torus(V(0, 0.35f, h + 0.25f), V::UnitX(), 0.28f, 0.1f));
}
void umbrella(Maker& m) {
  m.main().add(lathe(curve({{1.3f, 1.5f}, {1.1f, 1.95f}, {0.5f, 2.3f}, {0, 2.4f}}), V::Zero(), 8));
  m.second().add(cylinder(V::Zero(), V(0, 0, 2.65f), 0.08f));
  m.second().add(tube(smooth({V(0, 0, 0.05f), V(0, 0.12f, -0.2f), V(0, 0.35f, -0.2f), V(0, 0.42f, 0)}, 4),
                      std::vector<float>(13, 0.08f)));
}
void barrel(Maker& m) {
  m.main().add(lathe(curve({{0.65f, 0}, {0.85f, 0.9f}, {0.65f, 1.8f}})));
  m.second()
      .add(cylinder(V(0, 0, 0.25f), V(0, 0, 0.45f), 0.8f))
      .add(cylinder(V(0, 0, 1.35f), V(0, 0, 1.55f), 0.8f));
}
void bell(Maker& m) {
  m.main().add(lathe(curve({{1, 0}, {0.75f, 0.3f}, {0.6f, 0.9f}, {0.3f, 1.25f}, {0, 1.3f}})));
  m.second().add(cylinder(V(0, 0, 1.2f), V(0, 0, m.in(1.8f, 2.2f)), 0.16f)).add(ball(V(0, 0, 0), 0.25f));
}

}  // namespace

std::vector<Kind> household_kinds() {
  return {
      {"mug", "mugs", "handle", false, {}, {"white", "black"}, {"cup"}, mug},
      {"teapot", "teapots", "lid", false, {"white", "blue"}, {"blue", "black"}, {"kettle"}, teapot},
      {"bottle", "bottles", "cap", false, {"green", "blue"}, {"white", "red"}, {}, bottle},
      {"vase", "vases", "flowers", true, {"blue", "white"}, {"red", "pink"}, {}, vase},
      {"candle", "candles", "flame", false, {"white", "red"}, {"orange"}, {}, candle},
      {"gift box",
       "gift boxes",
       "ribbon",
       false,
       {"red", "green"},
       {"yellow", "white"},
       {"present", "gift"},
       gift_box},
      {"umbrella", "umbrellas", "handle", false, {"red", "blue"}, {"brown"}, {"parasol"}, umbrella},
      {"barrel", "barrels", "hoops", true, {"brown"}, {"gray", "black"}, {}, barrel},
      {"bell", "bells", "handle", false, {"yellow"}, {"brown"}, {}, bell},
  };
}

}  // namespace t3d::toybox
