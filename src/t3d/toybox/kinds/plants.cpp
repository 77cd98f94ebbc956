#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

void tree(Maker& m) {
  const float h = m.in(0.9f, 1.4f);
  m.second().add(bar(V::Zero(), V(0, 0, h + 0.3f), 0.26f, 0.18f));
  if (m.pick(2))
    m.main().add(ball(V(0, 0, h + 0.75f), m.in(0.8f, 0.95f)));
  else
    m.main().add(ball(V(0, 0, h + 1), 0.7f)).around(ball(V(0.45f, 0, h + 0.55f), 0.55f), 3, m.in(0, 90));
}
void pine_tree(Maker& m) {
  m.second().add(cylinder(V::Zero(), V(0, 0, 0.7f), 0.2f));
  const int n = 3;
  for (int i = 0; i < n; ++i) {
    const float z = 0.5f + 0.65f * static_cast<float>(i), r = 1.05f - 0.25f * static_cast<float>(i);
    m.main().add(bar(V(0, 0, z), V(0, 0, z + m.in(1.0f, 1.15f)), r, 0));
  }
}
void palm(Maker& m) {
  const float lean = m.in(0, 0.5f);
  m.second().add(
      tube(smooth({V(0, 0, 0), V(0, 0.3f * lean, 1), V(0, lean, 2)}, 5), std::vector<float>(11, 0.16f)));
  const int n = 6 + m.pick(2);
  for (int i = 0; i < n; ++i)
    m.main().add(
        tube(smooth({V(0, 0, 2), V(0.5f, 0, 2.3f), V(1, 0, 2.15f), V(1.3f, 0, 1.7f)}, 4),
             {0.1f, 0.13f, 0.16f, 0.18f, 0.19f, 0.19f, 0.18f, 0.16f, 0.14f, 0.12f, 0.09f, 0.06f, 0.02f})
            .turn(V::UnitZ(), 360.0f * static_cast<float>(i) / static_cast<float>(n))
            .move(V(0, lean, 0)));
}
void cactus(Maker& m) {
  m.second().add(bar(V::Zero(), V(0, 0, 0.7f), 0.5f, 0.7f));
  m.main().add(tube({V(0, 0, 0.6f), V(0, 0, m.in(2, 2.3f))}, {0.35f, 0.35f}));
  m.main().add(
      tube(smooth({V(0, 0.2f, 1.2f), V(0, 0.75f, 1.25f), V(0, 0.8f, 1.8f)}, 4), std::vector<float>(9, 0.2f)));
  m.main().add(tube(smooth({V(0, -0.2f, 1.5f), V(0, -0.7f, 1.55f), V(0, -0.75f, 2)}, 4),
                    std::vector<float>(9, 0.18f)));
}
void flower(Maker& m) {
  const float h = m.in(1.4f, 1.8f);
  m.second().add(tube({V(0, 0, 0), V(0, 0, h)}, {0.09f, 0.09f}));
  m.second().pair(ellipsoid(V(0, 0.35f, 0.5f), V(0.16f, 0.36f, 0.06f)).turn(V::UnitX(), 25, V(0, 0, 0.5f)));
  const int n = 5 + m.pick(4);
  for (int i = 0; i < n; ++i)
    m.main().add(
        ellipsoid(V(0.1f, 0, h + 0.52f), V(0.1f, 0.26f, 0.4f))
            .turn(V::UnitX(), 360.0f * static_cast<float>(i) / static_cast<float>(n), V(0.1f, 0, h)));
  m.fixed("heart", kAmber).add(ellipsoid(V(0.12f, 0, h), V(0.16f, 0.27f, 0.27f)));
}
void pumpkin(Maker& m) {
  const float squash = m.in(0.7f, 0.85f);
  m.main().around(ellipsoid(V(0.45f, 0, squash), V(0.6f, 0.5f, squash)), 8);
  m.second().add(tube({V(0, 0, 1.8f * squash), V(0.08f, 0, 2 * squash + 0.45f)}, {0.2f, 0.13f}));
}

}  // namespace

std::vector<Kind> plant_kinds() {
  return {
      {"tree", "trees", "trunk", false, {"green"}, {"brown"}, {}, tree},
      {"pine tree",
       "pine trees",
       "trunk",
       false,
       {"green"},
       {"brown"},
       {"fir tree", "christmas tree"},
       pine_tree},
      {"palm", "palms", "trunk", false, {"green"}, {"brown"}, {"palm tree"}, palm},
      {"cactus", "cacti", "pot", false, {"green"}, {"orange", "brown"}, {}, cactus},
      {"flower", "flowers", "stem", false, {"red", "pink", "yellow"}, {"green"}, {"daisy"}, flower},
      {"pumpkin", "pumpkins", "stem", false, {"orange"}, {"green", "brown"}, {}, pumpkin},
  };
}

}  // namespace t3d::toybox
