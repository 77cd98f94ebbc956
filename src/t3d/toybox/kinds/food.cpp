#include <cmath>

#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

void mushroom(Maker& m) {
  const float r = m.in(0.8f, 1.1f), h = m.in(0.8f, 1.2f), stem = m.in(0.25f, 0.38f);
  m.second().add(lathe(curve({{stem * 1.25f, 0}, {stem, h * 0.5f}, {stem, h + 0.1f}})));
  m.main().add(lathe(curve(
      {{stem * 0.8f, h - 0.02f}, {r, h}, {r * 0.95f, h + 0.2f}, {r * 0.6f, h + 0.6f}, {0, h + 0.78f}})));
}
void ice_cream(Maker& m) {
  m.second().add(bar(V(0, 0, 0), V(0, 0, 1.6f), 0.06f, 0.55f));
  m.main().add(ball(V(0, 0, 1.75f), m.in(0.58f, 0.66f)));
  if (m.pick(2)) m.main().add(ball(V(0, 0, 2.45f), 0.45f));
}
void lollipop(Maker& m) {
  m.second().add(cylinder(V::Zero(), V(0, 0, 1.8f), 0.08f));
  m.main().add(m.pick(2) ? ball(V(0, 0, 2.2f), 0.62f)
                         : cylinder(V(-0.14f, 0, 2.3f), V(0.14f, 0, 2.3f), 0.72f));
}
void burger(Maker& m) {
  m.main().add(lathe(curve({{0.9f, 0}, {1, 0.12f}, {0.95f, 0.3f}})));
  m.second().add(cylinder(V(0, 0, 0.3f), V(0, 0, 0.55f), 1.06f));
  m.fixed("lettuce", kLeaf).add(cylinder(V(0, 0, 0.55f), V(0, 0, 0.63f), 1.12f));
  m.main().add(lathe(curve({{1, 0.63f}, {1.02f, 0.8f}, {0.8f, 1.15f}, {0, m.in(1.25f, 1.4f)}})));
}
void cake(Maker& m) {
  const float h = m.in(0.5f, 0.75f);
  m.main().add(cylinder(V::Zero(), V(0, 0, h), 1)).add(cylinder(V(0, 0, h + 0.14f), V(0, 0, 2 * h), 0.7f));
  m.second().add(cylinder(V(0, 0, h), V(0, 0, h + 0.14f), 1.04f));
  m.second().add(cylinder(V(0, 0, 2 * h), V(0, 0, 2 * h + 0.14f), 0.74f));
  m.fixed("candle", kChalk).add(cylinder(V(0, 0, 2 * h), V(0, 0, 2 * h + 0.5f), 0.06f));
}
void pizza(Maker& m) {
  m.main().add(cylinder(V::Zero(), V(0, 0, 0.12f), 1));
  m.fixed("crust", V(0.72f, 0.48f, 0.24f)).add(torus(V(0, 0, 0.08f), V::UnitZ(), 1, 0.13f));
  const int n = 5 + m.pick(3);
  m.second().add(cylinder(V(0, 0, 0.1f), V(0, 0, 0.18f), 0.2f));
  m.second().around(cylinder(V(0.62f, 0, 0.1f), V(0.62f, 0, 0.18f), 0.18f), n, m.in(0, 60));
}
void apple(Maker& m) {
  m.main().add(lathe(curve({{0, 0.1f}, {0.4f, 0}, {0.9f, 0.6f}, {0.85f, 1.2f}, {0.4f, 1.5f}, {0, 1.32f}})));
  m.fixed("stalk", kWood).add(tube({V(0, 0, 1.3f), V(0.05f, 0, 1.75f)}, {0.05f, 0.06f}));
  m.second().add(
      ellipsoid(V(0, 0.32f, 1.72f), V(0.18f, 0.34f, 0.07f)).turn(V::UnitX(), m.in(5, 25), V(0, 0, 1.7f)));
}
void banana(Maker& m) {
  const auto arc =
      smooth({V(0, -1, 0.65f), V(0, -0.6f, 0.12f), V(0, 0, -0.05f), V(0, 0.6f, 0.12f), V(0, 1, 0.7f)}, 4);
  std::vector<float> radii;
  for (size_t i = 0; i < arc.size(); ++i) {
    const float t = static_cast<float>(i) / static_cast<float>(arc.size() - 1);
    radii.push_back(0.08f + 0.22f * std::sin(3.14159f * t));
  }
  m.main().add(tube(arc, radii));
  m.fixed("tip", V(0.25f, 0.17f, 0.08f)).add(tube({V(0, 1, 0.7f), V(0, 1.1f, 0.95f)}, {0.08f, 0.08f}));
}
void pear(Maker& m) {
  m.main().add(
      lathe(curve({{0, 0}, {0.6f, 0.1f}, {0.85f, 0.65f}, {0.5f, 1.3f}, {0.36f, 1.75f}, {0, 1.95f}})));
  m.fixed("stalk", kWood).add(tube({V(0, 0, 1.9f), V(0.05f, 0, 2.25f)}, {0.05f, 0.06f}));
  m.second().add(ellipsoid(V(0, 0.3f, 2.15f), V(0.16f, 0.32f, 0.07f)).turn(V::UnitX(), 15, V(0, 0, 2.1f)));
}
void carrot(Maker& m) {
  m.main().add(lathe(curve({{0, 0}, {0.2f, 0.5f}, {0.42f, 1.6f}, {0.38f, 1.85f}, {0, 1.95f}})));
  m.second().around(tube({V(0, 0, 1.85f), V(0.16f, 0, 2.3f), V(0.45f, 0, 2.65f)}, {0.08f, 0.14f, 0.03f}),
                    4 + m.pick(3));
}
void cupcake(Maker& m) {
  m.second().add(bar(V::Zero(), V(0, 0, 0.8f), 0.6f, 0.85f, 16));
  m.main().add(lathe(
      curve({{0.85f, 0.8f}, {1, 0.95f}, {0.75f, 1.2f}, {0.7f, 1.35f}, {0.4f, 1.6f}, {0, m.in(1.8f, 2)}})));
}
void egg(Maker& m) {
  m.main().add(lathe(curve({{0, 0.3f}, {0.5f, 0.42f}, {0.75f, 1}, {0.5f, 1.7f}, {0, 2}})));
  m.second().add(
      lathe({{0.5f, 0}, {0.2f, 0.25f}, {0.66f, 0.75f}, {0.72f, 0.75f}, {0.72f, 0.8f}, {0.55f, 0.8f}}));
}

}  // namespace

std::vector<Kind> food_kinds() {
  return {
      {"mushroom", "mushrooms", "stem", false, {"red", "brown"}, {"white"}, {"toadstool"}, mushroom},
      {"ice cream", "ice creams", "cone", false, {"pink", "white", "brown"}, {"orange"}, {}, ice_cream},
      {"lollipop", "lollipops", "stick", false, {"red", "pink"}, {"white"}, {}, lollipop},
      {"burger", "burgers", "patty", false, {"orange"}, {"brown"}, {"hamburger"}, burger},
      {"cake", "cakes", "icing", true, {"brown", "pink"}, {"white", "pink"}, {}, cake},
      {"pizza", "pizzas", "toppings", true, {"yellow"}, {"red"}, {}, pizza},
      {"apple", "apples", "leaf", false, {"red", "green"}, {"green"}, {}, apple},
      {"banana", "bananas", "", false, {"yellow"}, {}, {}, banana},
      {"pear", "pears", "leaf", false, {"green", "yellow"}, {"green"}, {}, pear},
      {"carrot", "carrots", "leaves", true, {"orange"}, {"green"}, {}, carrot},
      {"cupcake", "cupcakes", "cup", false, {"pink", "white"}, {"brown"}, {"muffin"}, cupcake},
      {"egg", "eggs", "holder", false, {"white"}, {"blue"}, {}, egg},
  };
}

}  // namespace t3d::toybox
