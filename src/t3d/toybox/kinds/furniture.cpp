#include "t3d/toybox/kind.h"

namespace t3d::toybox {
namespace {

using V = Vec3f;

void table(Maker& m) {
  const float x = m.in(0.7f, 1), y = m.in(1, 1.4f), h = m.in(0.9f, 1.3f), r = m.in(0.08f, 0.13f);
  m.main().add(m.pick(3) ? box(V(0, 0, h), V(2 * x, 2 * y, 0.18f))
                         : cylinder(V(0, 0, h - 0.09f), V(0, 0, h + 0.09f), 1.15f * x));
  for (const float s : {-1.0f, 1.0f})
    m.second().pair(cylinder(V(s * (x - 0.35f), x - 0.3f, 0), V(s * (x - 0.35f), x - 0.3f, h - 0.05f), r));
}
void chair(Maker& m) {
  const float h = m.in(0.8f, 1), back = m.in(1, 1.3f), r = m.in(0.08f, 0.12f);
  m.main().add(box(V(0, 0, h), V(1.2f, 1.2f, 0.2f)));
  m.main().add(box(V(-0.52f, 0, h + back / 2), V(0.16f, 1.2f, back)));
  for (const float s : {-1.0f, 1.0f})
    m.second().pair(cylinder(V(0.48f * s, 0.48f, 0), V(0.48f * s, 0.48f, h), r));
}
void stool(Maker& m) {
  const float h = m.in(1.1f, 1.5f);
  m.main().add(cylinder(V(0, 0, h), V(0, 0, h + 0.22f), 0.75f));
  m.second().around(cylinder(V(0.75f, 0, 0), V(0.4f, 0, h), 0.1f), 3 + m.pick(2), 45);
}
void bed(Maker& m) {
  const float l = m.in(1.7f, 2), w = m.in(0.9f, 1.3f);
  m.main().add(box(V(-l, 0, 0.6f), V(0.15f, 2 * w, 1.2f))).add(box(V(l, 0, 0.4f), V(0.15f, 2 * w, 0.8f)));
  m.main().add(box(V(0, 0, 0.3f), V(2 * l, 2 * w, 0.25f)));
  m.second().add(rounded_box(V(0.35f, 0, 0.55f), V(2 * l - 1, 2 * w + 0.05f, 0.3f), 0.1f));
  m.fixed("pillow", kChalk).add(rounded_box(V(-l + 0.5f, 0, 0.6f), V(0.6f, 1.4f * w, 0.3f), 0.12f));
}
void sofa(Maker& m) {
  const float w = m.in(1.2f, 1.6f);
  m.main().add(rounded_box(V(0, 0, 0.35f), V(1.3f, 2 * w, 0.5f), 0.1f));
  m.main().add(rounded_box(V(-0.6f, 0, 0.8f), V(0.35f, 2 * w, 1.3f), 0.12f));
  m.main().pair(rounded_box(V(0.05f, w, 0.6f), V(1.3f, 0.35f, 0.9f), 0.12f));
  m.second().pair(rounded_box(V(0.12f, 0.5f * w - 0.06f, 0.7f), V(1.05f, w - 0.25f, 0.28f), 0.1f));
}
void bookshelf(Maker& m) {
  const float h = m.in(2, 2.6f), w = 0.8f;
  m.main().pair(box(V(0, w, h / 2), V(0.6f, 0.12f, h))).add(box(V(-0.25f, 0, h / 2), V(0.1f, 2 * w, h)));
  for (int i = 0; i <= 3; ++i) {
    const float z = h * static_cast<float>(i) / 3;
    m.main().add(box(V(0, 0, z), V(0.6f, 2 * w + 0.12f, 0.12f)));
    if (i == 3) break;
    const float full = m.in(0.9f, 1.4f);
    m.second().add(box(V(0.02f, -w + 0.1f + full / 2, z + h / 9), V(0.42f, full, h / 5)));
  }
}
void lamp(Maker& m) {
  const float h = m.in(1.1f, 1.6f);
  m.second().add(cylinder(V::Zero(), V(0, 0, 0.18f), 0.6f)).add(cylinder(V::Zero(), V(0, 0, h), 0.13f));
  m.main().add(bar(V(0, 0, h), V(0, 0, h + 0.9f), m.in(0.75f, 0.95f), m.in(0.35f, 0.5f)));
}

}  // namespace

std::vector<Kind> furniture_kinds() {
  return {
      {"table", "tables", "legs", true, {"brown"}, {"brown", "black"}, {"desk"}, table},
      {"chair", "chairs", "legs", true, {"brown", "red", "blue"}, {"brown", "black"}, {}, chair},
      {"stool", "stools", "legs", true, {"brown", "red"}, {"brown", "black"}, {}, stool},
      {"bed", "beds", "blanket", false, {"brown", "white"}, {"blue", "red"}, {}, bed},
      {"sofa", "sofas", "cushions", true, {"gray", "blue"}, {"white", "red"}, {"couch"}, sofa},
      {"bookshelf", "bookshelves", "books", true, {"brown", "white"}, {"red", "blue"}, {}, bookshelf},
      {"lamp", "lamps", "base", false, {"yellow", "white"}, {"black", "brown"}, {}, lamp},
  };
}

}  // namespace t3d::toybox
