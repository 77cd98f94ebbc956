#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

/// Four wheels, axles along y.
void wheels(Maker& m, float x, float y, float radius) {
  for (const float s : {-1.0f, 1.0f})
    m.fixed("wheels", kTyre).pair(cylinder(V(s * x, y - 0.12f, radius), V(s * x, y + 0.12f, radius), radius));
}

void car(Maker& m) {
  const float l = m.in(1.4f, 1.7f);
  m.main().add(rounded_box(V(0, 0, 0.55f), V(2 * l, 1.5f, 0.55f), 0.15f));
  m.second().add(rounded_box(V(-0.15f, 0, 1), V(1.1f * l, 1.3f, 0.6f), 0.15f));
  m.fixed("lights", kAmber).pair(ball(V(l, 0.5f, 0.6f), 0.13f));
  wheels(m, 0.6f * l, 0.72f, 0.33f);
}
void truck(Maker& m) {
  const float l = m.in(1.1f, 1.4f);
  m.main().add(box(V(-0.45f, 0, 1.15f), V(2 * l, 1.5f, 1.4f)));
  m.second().add(rounded_box(V(l + 0.05f, 0, 0.9f), V(0.8f, 1.4f, 1.1f), 0.1f));
  m.fixed("window", kGlass).add(box(V(l + 0.45f, 0, 1.1f), V(0.06f, 1.1f, 0.4f)));
  wheels(m, l - 0.15f, 0.68f, 0.36f);
}
void train(Maker& m) {
  m.main()
      .add(cylinder(V(-0.3f, 0, 0.95f), V(1.3f, 0, 0.95f), 0.5f))
      .add(box(V(-0.8f, 0, 1.2f), V(1, 1.2f, 1.5f)));
  m.main().add(box(V(0.1f, 0, 0.42f), V(2.7f, 1.1f, 0.2f)));
  m.second().add(bar(V(0.95f, 0, 1.3f), V(0.95f, 0, m.in(1.9f, 2.2f)), 0.16f, 0.28f));
  m.second().add(box(V(-0.8f, 0, 2), V(1.25f, 1.45f, 0.15f)));
  for (const float x : {-0.9f, 0.1f, 1.0f})
    m.fixed("wheels", kTyre).pair(cylinder(V(x, 0.45f, 0.32f), V(x, 0.65f, 0.32f), 0.32f));
}
void boat(Maker& m) {
  m.main().add(
      plate({{-1.2f, 0.5f}, {-0.9f, 0}, {0.9f, 0}, {1.5f, 0.55f}}, V::Zero(), V::UnitX(), V::UnitZ(), 0.9f));
  m.fixed("mast", kWood).add(cylinder(V(0, 0, 0.4f), V(0, 0, 2.5f), 0.06f));
  const float h = m.in(1.4f, 1.8f);
  m.second().add(plate({{-0.95f, 0.75f}, {-0.08f, 0.75f}, {-0.08f, 0.75f + h}}, V::Zero(), V::UnitX(),
                       V::UnitZ(), 0.1f));
  m.second().add(
      plate({{0.08f, 0.75f}, {0.85f, 0.75f}, {0.08f, 0.6f + h}}, V::Zero(), V::UnitX(), V::UnitZ(), 0.1f));
}
void plane(Maker& m) {
  const float l = m.in(1.5f, 1.9f), span = m.in(1.6f, 2);
  m.main().add(ellipsoid(V::Zero(), V(l, 0.34f, 0.34f)));
  m.second().pair(plate({{0.5f, 0.2f}, {-0.1f, span}, {-0.5f, span}, {-0.3f, 0.2f}}, V(0.1f, 0, 0),
                        V::UnitX(), V::UnitY(), 0.12f));
  m.second().pair(plate({{0.2f, 0}, {-0.15f, 0.65f}, {-0.4f, 0.65f}, {-0.3f, 0}}, V(0.25f - l, 0, 0.08f),
                        V::UnitX(), V::UnitY(), 0.1f));
  m.second().add(plate({{0.25f, 0}, {-0.35f, 0}, {-0.4f, 0.75f}, {-0.1f, 0.75f}}, V(0.25f - l, 0, 0.08f),
                       V::UnitX(), V::UnitZ(), 0.1f));
  m.fixed("windows", kGlass).add(ellipsoid(V(0.6f * l, 0, 0.18f), V(0.3f, 0.22f, 0.18f)));
}
void rocket(Maker& m) {
  const float h = m.in(1.4f, 1.9f);
  m.main().add(lathe(curve({{0.4f, 0.2f}, {0.55f, 0.2f + 0.4f * h}, {0.45f, 0.4f + h}, {0, 1.2f + h}})));
  const int n = 3 + m.pick(2);
  m.second().around(plate({{0.35f, 0.9f}, {0.95f, 0.3f}, {0.95f, 0}, {0.35f, 0.25f}}, V::Zero(), V::UnitX(),
                          V::UnitZ(), 0.14f),
                    n, 45);
  m.fixed("window", kGlass).add(ellipsoid(V(0.5f, 0, 0.25f + 0.7f * h), V(0.08f, 0.2f, 0.2f)));
  m.fixed("engine", kSteel).add(bar(V(0, 0, 0), V(0, 0, 0.25f), 0.35f, 0.25f));
}
void submarine(Maker& m) {
  m.main().add(ellipsoid(V::Zero(), V(m.in(1.5f, 1.8f), 0.6f, 0.6f)));
  m.second().add(rounded_box(V(0.1f, 0, 0.7f), V(0.8f, 0.45f, 0.6f), 0.1f));
  m.second().add(tube({V(0.15f, 0, 0.9f), V(0.15f, 0, 1.4f), V(0.45f, 0, 1.4f)}, {0.09f, 0.09f, 0.09f}));
  m.fixed("portholes", kGlass).pair(ellipsoid(V(0.7f, 0.5f, 0.05f), V(0.18f, 0.08f, 0.18f)));
  m.fixed("portholes", kGlass).pair(ellipsoid(V(0, 0.57f, 0.05f), V(0.18f, 0.08f, 0.18f)));
}
void wheel(Maker& m) {
  m.main().add(torus(V::Zero(), V::UnitX(), 1, m.in(0.18f, 0.26f)));
  m.second().add(cylinder(V(-0.2f, 0, 0), V(0.2f, 0, 0), 0.28f));
  const int n = 5 + m.pick(4);
  for (int i = 0; i < n; ++i)
    m.second().add(cylinder(V::Zero(), V(0, 0, 0.95f), 0.07f)
                       .turn(V::UnitX(), 360.0f * static_cast<float>(i) / static_cast<float>(n)));
}
void helicopter(Maker& m) {
  m.main()
      .add(ellipsoid(V(0.2f, 0, 0), V(0.85f, 0.55f, 0.55f)))
      .add(bar(V(-0.4f, 0, 0.1f), V(-1.8f, 0, 0.3f), 0.22f, 0.1f));
  m.fixed("window", kGlass).add(ellipsoid(V(0.65f, 0, 0.12f), V(0.42f, 0.42f, 0.34f)));
  m.second().add(cylinder(V(0.2f, 0, 0.5f), V(0.2f, 0, 0.8f), 0.08f));
  const float turn = m.in(0, 90);
  for (const float a : {0.0f, 90.0f})
    m.second().add(box(V(0.2f, 0, 0.8f), V(2.6f, 0.2f, 0.06f)).turn(V::UnitZ(), turn + a, V(0.2f, 0, 0)));
  m.second().add(box(V(-1.8f, 0.12f, 0.35f), V(0.12f, 0.06f, 0.8f)));
  m.fixed("skids", kTyre).pair(cylinder(V(-0.5f, 0.4f, -0.75f), V(0.9f, 0.4f, -0.75f), 0.06f));
  m.fixed("skids", kTyre).pair(cylinder(V(0.2f, 0.3f, -0.4f), V(0.2f, 0.4f, -0.75f), 0.05f));
}
void ufo(Maker& m) {
  m.main().add(ellipsoid(V::Zero(), V(1.4f, 1.4f, m.in(0.28f, 0.4f))));
  m.second().add(ellipsoid(V(0, 0, 0.25f), V(0.62f, 0.62f, 0.55f)));
  m.fixed("lights", kAmber).around(ball(V(1.15f, 0, 0.12f), 0.12f), 8);
}
void hot_air_balloon(Maker& m) {
  m.main().add(lathe(curve({{0.25f, 0.9f}, {0.75f, 1.5f}, {1, 2.2f}, {0.7f, 2.95f}, {0, 3.2f}})));
  m.second().add(box(V(0, 0, 0.22f), V(0.55f, 0.55f, 0.45f)));
  for (const float s : {-1.0f, 1.0f})
    m.fixed("ropes", kWood).pair(cylinder(V(0.24f * s, 0.24f, 0.4f), V(0.2f * s, 0.2f, 1), 0.03f));
}

}  // namespace

std::vector<Kind> vehicle_kinds() {
  return {
      {"car", "cars", "top", false, {"red", "blue", "yellow"}, {"white", "black"}, {"automobile"}, car},
      {"truck", "trucks", "cab", false, {"white", "gray"}, {"red", "blue"}, {"lorry"}, truck},
      {"train",
       "trains",
       "chimney and roof",
       false,
       {"red", "green", "black"},
       {"black", "yellow"},
       {"locomotive"},
       train},
      {"boat", "boats", "sails", true, {"brown", "red"}, {"white"}, {"sailboat", "ship"}, boat},
      {"plane",
       "planes",
       "wings",
       true,
       {"white", "gray"},
       {"red", "blue"},
       {"airplane", "aeroplane"},
       plane},
      {"rocket", "rockets", "fins", true, {"white"}, {"red"}, {"spaceship"}, rocket},
      {"submarine", "submarines", "tower", false, {"yellow"}, {"red", "gray"}, {}, submarine},
      {"wheel", "wheels", "spokes", true, {"black"}, {"gray"}, {}, wheel},
      {"helicopter", "helicopters", "rotor", false, {"red", "green"}, {"gray", "black"}, {}, helicopter},
      {"ufo", "ufos", "dome", false, {"gray"}, {"green", "cyan"}, {"flying saucer"}, ufo},
      {"hot air balloon",
       "hot air balloons",
       "basket",
       false,
       {"red", "yellow"},
       {"brown"},
       {},
       hot_air_balloon},
  };
}

}  // namespace t3d::toybox
