#include <cmath>

#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

void snowman(Maker& m) {
  m.main().add(ball(V(0, 0, 0.8f), 0.85f)).add(ball(V(0, 0, 1.95f), 0.6f)).add(ball(V(0, 0, 2.75f), 0.42f));
  m.second()
      .add(cylinder(V(0, 0, 3.02f), V(0, 0, 3.12f), 0.55f))
      .add(cylinder(V(0, 0, 3.1f), V(0, 0, m.in(3.5f, 3.8f)), 0.36f));
  m.fixed("nose", kAmber).add(bar(V(0.38f, 0, 2.75f), V(0.85f, 0, 2.72f), 0.1f, 0));
  m.fixed("eyes", kInk)
      .pair(ball(V(0.36f, 0.15f, 2.9f), 0.06f))
      .add(ball(V(0.58f, 0, 2.1f), 0.07f))
      .add(ball(V(0.6f, 0, 1.85f), 0.07f));
}
void pawn(Maker& m) {
  m.second().add(lathe(curve({{0.8f, 0}, {0.8f, 0.25f}, {0.55f, 0.4f}})));
  m.main().add(lathe(curve({{0.5f, 0.38f}, {0.32f, 0.8f}, {0.26f, 1.4f}, {0.5f, 1.5f}, {0.3f, 1.6f}})));
  m.main().add(ball(V(0, 0, 1.9f), m.in(0.4f, 0.48f)));
}
void robot(Maker& m) {
  const float w = m.in(0.55f, 0.7f);
  m.main()
      .add(rounded_box(V(0, 0, 1.35f), V(0.8f, 2 * w, 1.1f), 0.08f))
      .add(rounded_box(V(0, 0, 2.35f), V(0.7f, 0.9f, 0.65f), 0.08f));
  m.second()
      .pair(rounded_box(V(0, w + 0.2f, 1.4f), V(0.3f, 0.28f, 1.1f), 0.08f))
      .pair(rounded_box(V(0, 0.32f, 0.4f), V(0.38f, 0.36f, 0.85f), 0.08f));
  m.fixed("antenna", kSteel).add(cylinder(V(0, 0, 2.6f), V(0, 0, 2.95f), 0.05f)).add(ball(V(0, 0, 3), 0.1f));
  m.fixed("eyes", kAmber).pair(ball(V(0.35f, 0.2f, 2.42f), 0.11f));
}
void teddy_bear(Maker& m) {
  m.main().add(ellipsoid(V(0, 0, 0.8f), V(0.62f, 0.68f, 0.8f))).add(ball(V(0.05f, 0, 1.9f), 0.58f));
  m.main()
      .pair(ball(V(0, 0.45f, 2.35f), 0.22f))
      .pair(ellipsoid(V(0.1f, 0.75f, 1.05f), V(0.22f, 0.42f, 0.22f)));
  m.main().pair(ellipsoid(V(0.45f, 0.4f, 0.2f), V(0.45f, 0.25f, 0.25f)));
  m.second()
      .add(ellipsoid(V(0.2f, 0, 0.8f), V(0.5f, 0.46f, 0.56f)))
      .add(ellipsoid(V(0.52f, 0, 1.78f), V(0.2f, 0.25f, 0.2f)));
  m.fixed("eyes", kInk).pair(ball(V(0.55f, 0.22f, 2.05f), 0.08f)).add(ball(V(0.7f, 0, 1.86f), 0.08f));
}
void balloon(Maker& m) {
  m.main().add(lathe(curve({{0.08f, 1.2f}, {0.55f, 1.7f}, {0.8f, 2.3f}, {0.5f, 2.95f}, {0, 3.1f}})));
  m.main().add(bar(V(0, 0, 1.08f), V(0, 0, 1.25f), 0.14f, 0.05f));
  const float s = m.in(0.08f, 0.2f);
  m.second().add(tube(smooth({V(0, 0, 1.15f), V(0, s, 0.8f), V(0, -s, 0.4f), V(0, s, 0)}, 5),
                      std::vector<float>(16, 0.05f)));
}
void dice(Maker& m) {
  m.main().add(rounded_box(V::Zero(), V(2, 2, 2), m.in(0.15f, 0.3f)));
  const auto dot = [&m](float x, float y, float z) {
    V radii(0.2f, 0.2f, 0.2f);
    const V c(x, y, z);
    for (int k = 0; k < 3; ++k)
      if (std::abs(c[k]) == 1) radii[k] = 0.05f;
    m.second().add(ellipsoid(c, radii));
  };
  dot(1, 0, 0);
  for (const float a : {-0.5f, 0.5f})
    for (const float b : {-0.5f, 0.0f, 0.5f}) dot(-1, a, b);
  for (const float a : {-0.5f, 0.5f}) {
    dot(a, 1, a), dot(a, a, 1), dot(a, -1, a), dot(a, -1, -a), dot(a, a, -1), dot(a, -a, -1);
  }
  dot(0, 0, 1), dot(0, -1, 0);
}
void drum(Maker& m) {
  const float h = m.in(0.9f, 1.3f);
  m.main().add(cylinder(V(0, 0, 0.1f), V(0, 0, h), 0.95f));
  m.second()
      .add(torus(V(0, 0, 0.1f), V::UnitZ(), 0.97f, 0.12f))
      .add(torus(V(0, 0, h), V::UnitZ(), 0.97f, 0.12f));
  m.fixed("skin", kChalk).add(cylinder(V(0, 0, h - 0.02f), V(0, 0, h + 0.05f), 0.92f));
}
void spinning_top(Maker& m) {
  m.main().add(lathe(curve({{0, 0}, {0.35f, 0.35f}, {1, 0.85f}, {0.6f, 1.15f}, {0, 1.25f}})));
  m.second().add(cylinder(V(0, 0, 1.1f), V(0, 0, m.in(1.7f, 2)), 0.15f)).add(ball(V(0, 0, 1.9f), 0.22f));
}
void crown(Maker& m) {
  m.main().add(lathe({{0.9f, 0}, {0.95f, 0.6f}, {0.85f, 0.6f}, {0.8f, 0}}));
  const int n = 6 + m.pick(3);
  m.main().around(bar(V(0.9f, 0, 0.55f), V(1, 0, 1.25f), 0.3f, 0, 4), n);
  m.second().around(ball(V(1, 0, 1.25f), 0.14f), n).around(ball(V(0.94f, 0, 0.3f), 0.15f), n);
}
void trophy(Maker& m) {
  m.main().add(lathe(curve({{0.15f, 0.4f}, {0.15f, 0.9f}, {0.7f, 1.4f}, {0.8f, 2.2f}})));
  m.main().pair(torus(V(0, 0.85f, 1.75f), V::UnitX(), 0.32f, 0.08f));
  m.second().add(box(V(0, 0, 0.22f), V(m.in(0.9f, 1.1f), 1, 0.45f)));
}

}  // namespace

std::vector<Kind> toy_kinds() {
  return {
      {"snowman", "snowmen", "hat", false, {"white"}, {"black", "red"}, {}, snowman},
      {"pawn", "pawns", "base", false, {"white", "black"}, {"black", "brown"}, {"chess piece"}, pawn},
      {"robot", "robots", "limbs", true, {"gray", "blue"}, {"red", "gray"}, {}, robot},
      {"teddy bear",
       "teddy bears",
       "belly",
       false,
       {"brown"},
       {"white", "orange"},
       {"teddy", "bear"},
       teddy_bear},
      {"balloon", "balloons", "string", false, {"red", "blue"}, {"white", "black"}, {}, balloon},
      {"dice", "dice", "dots", true, {"white", "red"}, {"black", "white"}, {"die"}, dice},
      {"drum", "drums", "rims", true, {"red", "blue"}, {"yellow", "white"}, {}, drum},
      {"spinning top",
       "spinning tops",
       "handle",
       false,
       {"red", "green"},
       {"yellow", "brown"},
       {},
       spinning_top},
      {"crown", "crowns", "jewels", true, {"yellow"}, {"red", "blue"}, {}, crown},
      {"trophy", "trophies", "base", false, {"yellow"}, {"black", "brown"}, {}, trophy},
  };
}

}  // namespace t3d::toybox
