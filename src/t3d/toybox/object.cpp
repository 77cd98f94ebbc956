#include "t3d/toybox/object.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/io/crease_normals.h"
#include "t3d/toybox/palette.h"
#include "t3d/toybox/pattern.h"

namespace t3d::toybox {
namespace {

/// A part of one colour.
struct Painted {
  std::string name, colour;
  Vec3f srgb;
  std::string finish;
  Surface surface;
};

using Parts = std::vector<Painted>;

Box3f bounds_of(const Parts& parts) {
  Box3f box;
  box.min = Vec3f::Constant(1e30f), box.max = -box.min;
  for (const Painted& part : parts)
    for (const Vec3f& p : part.surface.points) box.min = box.min.cwiseMin(p), box.max = box.max.cwiseMax(p);
  return box;
}

void place(Parts& parts, float scale, const Vec3f& move) {
  for (Painted& part : parts)
    for (Vec3f& p : part.surface.points) p = scale * p + move;
}

/// Moves the parts to stand on z = 0 with the middle of their box above the origin, at most `size` long.
void stand(Parts& parts, float size) {
  const Box3f box = bounds_of(parts);
  const Vec3f extent = box.max - box.min, middle = 0.5f * (box.min + box.max);
  const float scale = size / extent.maxCoeff();
  place(parts, scale, -scale * Vec3f(middle.x(), middle.y(), box.min.z()));
}

/// The height of the highest surface above (x,y), or -1.
float height_at(const Parts& parts, float x, float y) {
  float best = -1;
  for (const Painted& part : parts)
    for (const auto& f : part.surface.faces) {
      const Vec3f &a = part.surface.points[f[0]], &b = part.surface.points[f[1]],
                  &c = part.surface.points[f[2]];
      const float area = (b.x() - a.x()) * (c.y() - a.y()) - (b.y() - a.y()) * (c.x() - a.x());
      if (std::abs(area) < 1e-12f) continue;
      const float u = ((b.x() - x) * (c.y() - y) - (b.y() - y) * (c.x() - x)) / area;
      const float v = ((c.x() - x) * (a.y() - y) - (c.y() - y) * (a.x() - x)) / area;
      if (u < 0 || v < 0 || u + v > 1) continue;
      best = std::max(best, u * a.z() + v * b.z() + (1 - u - v) * c.z());
    }
  return best;
}

const std::string& draw_name(const std::vector<std::string>& usual, Rng& rng) {
  const auto n = static_cast<uint32_t>(usual.empty() ? palette().size() : usual.size());
  const uint32_t i = rng.below(n);
  return usual.empty() ? palette()[i].name : usual[i];
}

/// Fills in the colours that were not said.
void resolve(Item& item, Rng& rng) {
  if (item.colour.empty() && item.finish != "wooden") item.colour = draw_name(item.kind->usual, rng);
  if (item.second.empty() && !item.kind->second.empty())
    item.second = draw_name(item.kind->usual_second, rng);
}

/// The colour of stripes and dots on it: light on dark, dark on light.
Vec3f contrast(const Vec3f& srgb) {
  return srgb_to_lab(srgb).x() > 62 ? Vec3f(0.1f, 0.1f, 0.12f) : kChalk;
}

Parts build_one(const Item& item, Rng& rng) {
  Maker maker(rng);
  item.kind->build(maker);
  Parts parts;
  // All instances of an item look alike but for their shapes' numbers.
  const auto named = [&rng](const std::string& name) {
    return name.empty() ? kWood : draw_colour(*find_colour(name), rng);
  };
  const Vec3f main = named(item.colour), second = item.second.empty() ? main : named(item.second);
  float size = 0;
  for (MadePart& made : maker.take()) {
    Painted part;
    part.surface = std::move(made.surface);
    part.name = made.slot == Slot::Main     ? item.kind->name
                : made.slot == Slot::Second ? item.kind->second
                                            : made.name;
    part.colour = made.slot == Slot::Main ? item.colour : made.slot == Slot::Second ? item.second : "";
    part.srgb = made.slot == Slot::Main ? main : made.slot == Slot::Second ? second : made.colour;
    part.finish = made.slot == Slot::Fixed ? "" : item.finish;
    parts.push_back(std::move(part));
  }
  if (item.size == "tall" || item.size == "flat")
    for (Painted& part : parts) part.surface.scale(Vec3f(1, 1, item.size == "tall" ? 1.5f : 0.6f));
  const Box3f box = bounds_of(parts);
  size = (box.max - box.min).maxCoeff();
  const std::string pattern = item.finish == "wooden" ? "wooden" : item.pattern;
  if (pattern.empty()) return parts;
  Parts out;
  for (Painted& part : parts) {
    const bool takes = pattern == "wooden" ? !part.finish.empty() : part.name == item.kind->name;
    if (!takes) {
      out.push_back(std::move(part));
      continue;
    }
    auto [ground, marks] = apply_pattern(part.surface, pattern, size, rng);
    Painted mark = part;
    mark.surface = std::move(marks);
    mark.srgb = pattern == "wooden" ? Vec3f(0.72f * part.srgb) : contrast(part.srgb);
    if (pattern != "wooden") mark.name = pattern + " marks", mark.colour = "";
    part.surface = std::move(ground);
    out.push_back(std::move(part));
    if (!mark.surface.faces.empty()) out.push_back(std::move(mark));
  }
  return out;
}

Parts build(const Item& item, Rng& rng) {
  const uint64_t look = rng.next_u32();
  Parts all;
  for (int i = 0; i < item.count; ++i) {
    Rng again(look, 17);  // the same shape and the same shades
    Parts one = build_one(item, again);
    stand(one, 1);
    if (item.count > 1) {
      const Box3f box = bounds_of(one);
      const float pitch = (box.max.y() - box.min.y()) * 1.12f + 0.04f;
      place(one, 1, Vec3f(0, pitch * (static_cast<float>(i) - 0.5f * static_cast<float>(item.count - 1)), 0));
    }
    for (Painted& part : one) all.push_back(std::move(part));
  }
  stand(all, 1);
  return all;
}

io::Material material_of(const std::string& finish) {
  io::Material m;
  m.name = finish.empty() ? "plain" : finish;
  m.base_colour = Vec3f::Ones();
  m.roughness = finish == "shiny" ? 0.15f : finish == "metallic" ? 0.25f : finish == "matte" ? 1.0f : 0.6f;
  m.metallic = finish == "metallic" ? 1.0f : 0.0f;
  return m;
}

io::Mesh to_mesh(const Parts& parts) {
  io::Mesh mesh;
  for (const Painted& part : parts) {
    const io::Material material = material_of(part.finish);
    size_t index = 0;
    while (index < mesh.materials.size() && mesh.materials[index].name != material.name) ++index;
    if (index == mesh.materials.size()) mesh.materials.push_back(material);
    const auto first = static_cast<uint32_t>(mesh.positions.size());
    for (const Vec3f& p : part.surface.points) {
      mesh.positions.push_back(p);
      mesh.colours.push_back(part.srgb);
    }
    for (const auto& f : part.surface.faces) {
      mesh.faces.push_back({first + f[0], first + f[1], first + f[2]});
      mesh.face_material.push_back(static_cast<uint16_t>(index));
    }
  }
  return mesh;
}

}  // namespace

ToyObject make_object(const Description& said, uint64_t seed) {
  T3D_CHECK(said.item.kind, "no kind");
  Rng rng(seed, 0x70f);
  ToyObject object;
  object.description = said;
  resolve(object.description.item, rng);
  Parts parts = build(object.description.item, rng);
  if (object.description.other) {
    resolve(*object.description.other, rng);
    Parts other = build(*object.description.other, rng);
    if (said.relation == Description::Relation::OnTopOf) {
      stand(parts, rng.uniform(0.5f, 0.65f));
      float floor = 0;
      for (const float x : {-0.08f, 0.0f, 0.08f})
        for (const float y : {-0.08f, 0.0f, 0.08f}) floor = std::max(floor, height_at(other, x, y));
      place(parts, 1, Vec3f(0, 0, floor - 0.01f));
    } else {
      stand(parts, rng.uniform(0.8f, 1.0f));
      const float gap = rng.uniform(0.05f, 0.12f);
      const float left = bounds_of(parts).max.y(), right = bounds_of(other).min.y();
      place(parts, 1, Vec3f(0, right - left - gap, 0));
    }
    for (Painted& part : other) parts.push_back(std::move(part));
  }

  const Box3f box = bounds_of(parts);
  const Vec3f middle = 0.5f * (box.min + box.max);
  float radius = 0;
  for (const Painted& part : parts)
    for (const Vec3f& p : part.surface.points) radius = std::max(radius, (p - middle).norm());
  const float size = said.item.size == "small" ? 0.6f : rng.uniform(0.92f, 1.0f);
  const float scale = size * kObjectRadius / radius;
  place(parts, scale, -scale * middle);

  for (const Painted& part : parts)
    object.parts.push_back({part.name, part.colour, part.srgb, bounds_of({part})});
  object.mesh = to_mesh(parts);
  constexpr float kCreaseDeg = 40;
  io::make_missing_normals(object.mesh, kCreaseDeg);
  return object;
}

}  // namespace t3d::toybox
