#include <cmath>

#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

/// Eyes at +-y, looking along +x.
void eyes(Maker& m, const V& at, float radius) {
  m.fixed("eyes", kInk).pair(ball(at, radius));
}

void legs(Maker& m, float x_front, float x_back, float y, float top, float radius) {
  for (const float x : {x_front, x_back}) m.pair(tube({V(x, y, radius), V(x, y, top)}, {radius, radius}));
}

void cat_kind(Maker& m) {
  m.main().add(ellipsoid(V(-0.2f, 0, 0.9f), V(0.9f, 0.42f, 0.42f)));
  legs(m.main(), 0.45f, -0.8f, 0.22f, 0.8f, 0.14f);
  m.main().add(ball(V(0.8f, 0, 1.4f), 0.46f));
  m.main().pair(bar(V(0.75f, 0.28f, 1.65f), V(0.72f, 0.36f, 2.1f), 0.2f, 0, 4));
  m.second().add(
      tube(smooth({V(-1, 0, 1), V(-1.5f, 0, 1.1f), V(-1.6f, 0, 1.6f), V(-1.4f, 0, m.in(1.9f, 2.2f))}, 4),
           std::vector<float>(13, 0.13f)));
  m.fixed("nose", kBlush).add(ball(V(1.25f, 0, 1.36f), 0.08f));
  eyes(m, V(1.17f, 0.2f, 1.52f), 0.09f);
}
void dog(Maker& m) {
  m.main().add(ellipsoid(V(-0.2f, 0, 0.95f), V(0.95f, 0.45f, 0.42f)));
  legs(m.main(), 0.45f, -0.85f, 0.25f, 0.85f, 0.15f);
  m.main().add(ball(V(0.8f, 0, 1.5f), 0.45f)).add(ellipsoid(V(1.2f, 0, 1.38f), V(0.35f, 0.22f, 0.2f)));
  m.main().add(tube({V(-1.05f, 0, 1.1f), V(-1.4f, 0, 1.7f)}, {0.12f, 0.07f}));
  m.second().pair(ellipsoid(V(0.72f, 0.48f, m.in(1.3f, 1.45f)), V(0.2f, 0.1f, 0.42f)));
  m.fixed("nose", kInk).add(ball(V(1.53f, 0, 1.43f), 0.1f));
  eyes(m, V(1.17f, 0.2f, 1.65f), 0.08f);
}
void duck(Maker& m) {
  m.main().add(ellipsoid(V(0, 0, 0.6f), V(1, 0.65f, 0.55f))).add(ball(V(0.65f, 0, 1.4f), 0.45f));
  m.main()
      .add(bar(V(-0.7f, 0, 0.7f), V(-1.25f, 0, 1.15f), 0.35f, 0.05f))
      .add(tube({V(0.6f, 0, 0.8f), V(0.65f, 0, 1.3f)}, {0.3f, 0.28f}));
  m.second().add(ellipsoid(V(1.15f, 0, 1.35f), V(m.in(0.28f, 0.4f), 0.22f, 0.09f)));
  eyes(m, V(0.98f, 0.24f, 1.56f), 0.08f);
}
void fish(Maker& m) {
  m.main().add(ellipsoid(V::Zero(), V(1, 0.36f, m.in(0.52f, 0.7f))));
  m.second().add(plate({{-0.8f, 0}, {-1.55f, 0.6f}, {-1.35f, 0}, {-1.55f, -0.6f}}, V::Zero(), V::UnitX(),
                       V::UnitZ(), 0.12f));
  m.second().add(
      plate({{0.3f, 0.4f}, {-0.45f, 0.95f}, {-0.5f, 0.35f}}, V::Zero(), V::UnitX(), V::UnitZ(), 0.1f));
  m.second().pair(
      plate({{0.2f, 0}, {-0.35f, 0.4f}, {-0.3f, 0}}, V(0, 0.28f, -0.1f), V::UnitX(), V::UnitY(), 0.08f));
  eyes(m, V(0.75f, 0.22f, 0.12f), 0.1f);
}
void penguin(Maker& m) {
  m.main().add(ellipsoid(V(0, 0, 0.95f), V(0.6f, 0.65f, 0.95f))).add(ball(V(0.05f, 0, 1.95f), 0.45f));
  m.main().pair(ellipsoid(V(0, 0.68f, 1), V(0.22f, 0.1f, 0.6f)).turn(V::UnitX(), 12, V(0, 0.6f, 1.5f)));
  m.second().add(ellipsoid(V(0.2f, 0, 0.9f), V(0.46f, 0.48f, 0.75f)));
  m.fixed("beak", kAmber).add(bar(V(0.42f, 0, 1.92f), V(0.85f, 0, 1.86f), 0.14f, 0));
  m.fixed("beak", kAmber).pair(ellipsoid(V(0.25f, 0.28f, 0.06f), V(0.35f, 0.2f, 0.08f)));
  eyes(m, V(0.4f, 0.18f, 2.1f), 0.07f);
}
void giraffe(Maker& m) {
  const float neck = m.in(1.3f, 1.7f);
  m.main().add(ellipsoid(V(0, 0, 1.5f), V(0.8f, 0.4f, 0.42f)));
  m.main().add(tube({V(0.55f, 0, 1.6f), V(1, 0, 1.6f + neck)}, {0.26f, 0.17f}));
  m.main().add(ellipsoid(V(1.2f, 0, 1.7f + neck), V(0.38f, 0.2f, 0.2f)));
  legs(m.main(), 0.5f, -0.55f, 0.22f, 1.4f, 0.12f);
  m.second().pair(tube({V(1, 0.1f, 1.8f + neck), V(0.95f, 0.12f, 2.15f + neck)}, {0.06f, 0.09f}));
  for (const float x : {-0.45f, 0.0f, 0.42f})
    m.second().pair(ellipsoid(V(x, 0.36f, 1.55f), V(0.15f, 0.08f, 0.17f)));
  for (const float t : {0.35f, 0.6f, 0.85f})
    m.second().pair(
        ellipsoid(V(0.55f + 0.45f * t, 0.2f - 0.07f * t, 1.6f + neck * t), V(0.1f, 0.06f, 0.12f)));
  eyes(m, V(1.3f, 0.16f, 1.78f + neck), 0.05f);
}
void elephant(Maker& m) {
  m.main().add(ellipsoid(V(-0.2f, 0, 1.2f), V(1, 0.68f, 0.7f))).add(ball(V(0.85f, 0, 1.5f), 0.52f));
  legs(m.main(), 0.4f, -0.8f, 0.38f, 1, 0.24f);
  m.main().add(
      tube(smooth({V(1.2f, 0, 1.45f), V(1.6f, 0, 1.1f), V(1.6f, 0, 0.6f), V(m.in(1.7f, 1.9f), 0, 0.35f)}, 4),
           std::vector<float>(13, 0.16f)));
  m.second().pair(
      ellipsoid(V(0.7f, 0.72f, 1.5f), V(0.12f, 0.45f, 0.5f)).turn(V::UnitZ(), 20, V(0.7f, 0.4f, 1.5f)));
  m.fixed("tusks", kChalk).pair(bar(V(1.15f, 0.25f, 1.2f), V(1.55f, 0.3f, 1.05f), 0.09f, 0.02f));
  eyes(m, V(1.25f, 0.25f, 1.7f), 0.07f);
}
void rabbit(Maker& m) {
  m.main().add(ellipsoid(V(-0.1f, 0, 0.65f), V(0.75f, 0.55f, 0.65f))).add(ball(V(0.5f, 0, 1.4f), 0.45f));
  m.main().pair(ellipsoid(V(0.4f, 0.3f, 0.14f), V(0.4f, 0.18f, 0.14f)));
  m.second().pair(ellipsoid(V(0.4f, 0.22f, 2.2f), V(0.12f, 0.16f, m.in(0.5f, 0.65f))));
  m.fixed("tail", kChalk).add(ball(V(-0.9f, 0, 0.55f), 0.22f));
  m.fixed("nose", kBlush).add(ball(V(0.95f, 0, 1.36f), 0.08f));
  eyes(m, V(0.86f, 0.2f, 1.55f), 0.08f);
}
void turtle(Maker& m) {
  m.second().add(lathe(curve({{1, 0.35f}, {0.95f, 0.6f}, {0.6f, 1}, {0, m.in(1.1f, 1.3f)}})));
  m.main()
      .add(cylinder(V(0, 0, 0.25f), V(0, 0, 0.38f), 0.95f))
      .add(ellipsoid(V(1.3f, 0, 0.65f), V(0.38f, 0.28f, 0.28f)));
  m.main().add(tube({V(0.8f, 0, 0.4f), V(1.2f, 0, 0.6f)}, {0.2f, 0.18f}));
  for (const float x : {-0.65f, 0.65f}) m.main().pair(ellipsoid(V(x, 0.75f, 0.18f), V(0.28f, 0.25f, 0.18f)));
  eyes(m, V(1.55f, 0.16f, 0.75f), 0.06f);
}
void snail(Maker& m) {
  m.main()
      .add(ellipsoid(V(0, 0, 0.18f), V(1.4f, 0.35f, 0.2f)))
      .add(tube({V(1, 0, 0.2f), V(1.35f, 0, 0.8f)}, {0.24f, 0.2f}));
  m.main().pair(tube({V(1.38f, 0.1f, 0.85f), V(1.5f, 0.2f, 1.3f)}, {0.05f, 0.05f}));
  m.second()
      .add(torus(V(-0.15f, 0, 0.95f), V::UnitY(), 0.42f, 0.36f))
      .add(ellipsoid(V(-0.15f, 0, 0.95f), V(0.4f, m.in(0.42f, 0.5f), 0.4f)));
  eyes(m, V(1.5f, 0.2f, 1.34f), 0.09f);
}
void bee(Maker& m) {
  for (int i = 0; i < 5; ++i) {
    const float x = 0.35f * static_cast<float>(i) - 0.7f, r = 0.6f * std::sqrt(1 - x * x);
    const Surface slice = cylinder(V(x - 0.175f, 0, 0), V(x + 0.175f, 0, 0), r);
    if (i % 2)
      m.fixed("bands", kInk).add(slice);
    else
      m.main().add(slice);
  }
  m.main().add(ball(V(1.1f, 0, 0.05f), 0.38f)).add(bar(V(-0.85f, 0, 0), V(-1.25f, 0, 0), 0.3f, 0));
  m.second().pair(
      ellipsoid(V(0, 0.6f, 0.7f), V(0.35f, m.in(0.5f, 0.65f), 0.08f)).turn(V::UnitX(), 35, V(0, 0.2f, 0.5f)));
  eyes(m, V(1.38f, 0.2f, 0.15f), 0.1f);
}

}  // namespace

std::vector<Kind> animal_kinds() {
  return {
      {"cat", "cats", "tail", false, {"orange", "gray", "black"}, {"white", "black"}, {"kitten"}, cat_kind},
      {"dog", "dogs", "ears", true, {"brown", "white"}, {"black", "brown"}, {"puppy"}, dog},
      {"duck", "ducks", "beak", false, {"yellow", "white"}, {"orange"}, {}, duck},
      {"fish", "fish", "fins", true, {"orange", "blue"}, {"yellow", "red"}, {"goldfish"}, fish},
      {"penguin", "penguins", "belly", false, {"black", "blue"}, {"white"}, {}, penguin},
      {"giraffe", "giraffes", "spots", true, {"yellow", "orange"}, {"brown"}, {}, giraffe},
      {"elephant", "elephants", "ears", true, {"gray", "blue"}, {"pink", "gray"}, {}, elephant},
      {"rabbit", "rabbits", "ears", true, {"white", "brown"}, {"pink"}, {"bunny", "hare"}, rabbit},
      {"turtle", "turtles", "shell", false, {"green"}, {"brown"}, {"tortoise"}, turtle},
      {"snail", "snails", "shell", false, {"yellow", "gray"}, {"brown", "red"}, {}, snail},
      {"bee", "bees", "wings", true, {"yellow"}, {"white"}, {}, bee},
  };
}

}  // namespace t3d::toybox
