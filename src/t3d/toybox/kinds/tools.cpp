#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

void hammer(Maker& m) {
  const float h = m.in(1.9f, 2.4f);
  m.second().add(cylinder(V::Zero(), V(0, 0, h), 0.14f));
  m.main().add(box(V(0, 0, h), V(0.45f, 0.9f, 0.42f))).add(cylinder(V(0, 0.4f, h), V(0, 0.75f, h), 0.3f));
  m.main().add(bar(V(0, -0.4f, h), V(0, -0.95f, h), 0.22f, 0.05f, 4));
}
void axe(Maker& m) {
  const float h = m.in(2, 2.4f);
  m.second().add(cylinder(V::Zero(), V(0, 0, h), 0.12f));
  m.main().add(plate({{-0.15f, -0.2f},
                      {0.35f, -0.25f},
                      {0.95f, -0.55f},
                      {1.05f, 0},
                      {0.95f, 0.55f},
                      {0.35f, 0.25f},
                      {-0.15f, 0.2f}},
                     V(0, 0, h - 0.3f), V::UnitY(), V::UnitZ(), 0.28f));
}
void shovel(Maker& m) {
  const float h = m.in(1.6f, 2);
  m.second()
      .add(cylinder(V(0, 0, 0.9f), V(0, 0, 0.9f + h), 0.1f))
      .add(cylinder(V(0, -0.35f, 0.9f + h), V(0, 0.35f, 0.9f + h), 0.1f));
  m.main().add(plate({{-0.5f, 1}, {-0.5f, 0.35f}, {0, -0.1f}, {0.5f, 0.35f}, {0.5f, 1}}, V::Zero(),
                     V::UnitY(), V::UnitZ(), 0.16f));
}
void screwdriver(Maker& m) {
  m.second().add(lathe(curve({{0.2f, 1.5f}, {0.34f, 1.75f}, {0.3f, 2.4f}, {0.2f, 2.7f}})));
  m.main()
      .add(cylinder(V(0, 0, 0.25f), V(0, 0, 1.55f), 0.12f))
      .add(box(V(0, 0, 0.15f), V(0.1f, m.in(0.28f, 0.36f), 0.34f)));
}
void key(Maker& m) {
  m.main().add(torus(V(0, 0, 2), V::UnitX(), 0.45f, 0.14f)).add(cylinder(V(0, 0, 0), V(0, 0, 1.6f), 0.12f));
  m.main()
      .add(box(V(0, 0.25f, 0.15f), V(0.18f, 0.45f, 0.18f)))
      .add(box(V(0, 0.2f, m.in(0.45f, 0.6f)), V(0.18f, 0.35f, 0.18f)));
}
void magnifying_glass(Maker& m) {
  m.main().add(torus(V(0, 0, 2), V::UnitX(), m.in(0.65f, 0.8f), 0.12f));
  m.fixed("lens", kGlass).add(ellipsoid(V(0, 0, 2), V(0.1f, 0.68f, 0.68f)));
  m.second().add(cylinder(V::Zero(), V(0, 0, 1.25f), 0.15f));
}
void paintbrush(Maker& m) {
  m.second().add(bar(V(0, 0, 0), V(0, 0, 1.6f), 0.08f, 0.18f));
  m.fixed("ferrule", kSteel).add(cylinder(V(0, 0, 1.5f), V(0, 0, 1.85f), 0.22f));
  m.main().add(lathe(curve({{0.2f, 1.8f}, {0.34f, 2.15f}, {0.2f, 2.5f}, {0, m.in(2.7f, 2.9f)}})));
}
void pencil(Maker& m) {
  const float h = m.in(2, 2.6f);
  m.main().add(bar(V(0, 0, 0.5f), V(0, 0, h), 0.22f, 0.22f, 6));
  m.fixed("wood", V(0.85f, 0.68f, 0.45f)).add(bar(V(0, 0, 0.5f), V(0, 0, 0.12f), 0.22f, 0.06f, 6));
  m.fixed("lead", kInk).add(bar(V(0, 0, 0.14f), V(0, 0, 0), 0.07f, 0));
  m.second().add(cylinder(V(0, 0, h), V(0, 0, h + 0.35f), 0.23f));
}
void bucket(Maker& m) {
  m.main().add(lathe({{0.6f, 0}, {0.85f, 1.3f}, {0.76f, 1.3f}, {0.54f, 0.1f}, {0, 0.1f}}));
  const float h = m.in(0.6f, 0.9f);
  m.second().add(tube(smooth({V(0, 0.84f, 1.25f), V(0, 0.6f, 1.25f + 0.8f * h), V(0, 0, 1.25f + h),
                              V(0, -0.6f, 1.25f + 0.8f * h), V(0, -0.84f, 1.25f)},
                             4),
                      std::vector<float>(17, 0.07f)));
}
void sword(Maker& m) {
  const float h = m.in(1.7f, 2.1f);
  m.main().add(plate({{-0.16f, 0.7f}, {0.16f, 0.7f}, {0.16f, 0.4f + h}, {0, 0.7f + h}, {-0.16f, 0.4f + h}},
                     V::Zero(), V::UnitY(), V::UnitZ(), 0.12f));
  m.second()
      .add(cylinder(V::Zero(), V(0, 0, 0.65f), 0.12f))
      .add(box(V(0, 0, 0.68f), V(0.22f, 0.95f, 0.16f)))
      .add(ball(V::Zero(), 0.18f));
}

}  // namespace

std::vector<Kind> tool_kinds() {
  return {
      {"hammer", "hammers", "handle", false, {"gray"}, {"brown", "red"}, {}, hammer},
      {"axe", "axes", "handle", false, {"gray"}, {"brown"}, {"hatchet"}, axe},
      {"shovel", "shovels", "handle", false, {"gray", "blue"}, {"brown"}, {"spade"}, shovel},
      {"screwdriver", "screwdrivers", "handle", false, {"gray"}, {"red", "yellow"}, {}, screwdriver},
      {"key", "keys", "", false, {"yellow", "gray"}, {}, {}, key},
      {"magnifying glass",
       "magnifying glasses",
       "handle",
       false,
       {"black", "gray"},
       {"brown", "red"},
       {},
       magnifying_glass},
      {"paintbrush",
       "paintbrushes",
       "handle",
       false,
       {"red", "blue"},
       {"brown", "yellow"},
       {"brush"},
       paintbrush},
      {"pencil", "pencils", "eraser", false, {"yellow", "blue"}, {"pink", "red"}, {}, pencil},
      {"bucket", "buckets", "handle", false, {"blue", "red", "gray"}, {"gray", "black"}, {"pail"}, bucket},
      {"sword", "swords", "hilt", false, {"gray", "cyan"}, {"brown", "yellow"}, {}, sword},
  };
}

}  // namespace t3d::toybox
