#include "t3d/toybox/pattern.h"

#include <cmath>
#include <map>

#include "t3d/core/error.h"

namespace t3d::toybox {
namespace {

constexpr float kTwoPi = 6.2831853f;

/// Adds points to one of the two sides, each once.
class Side {
 public:
  uint32_t point(std::pair<uint32_t, uint32_t> key, const Vec3f& p) {
    const auto [entry, is_new] = index_.emplace(key, static_cast<uint32_t>(surface.points.size()));
    if (is_new) surface.points.push_back(p);
    return entry->second;
  }
  Surface surface;

 private:
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> index_;
};

}  // namespace

Surface split_long_edges(const Surface& input, float length) {
  Surface s = input;
  for (bool again = true; again;) {
    again = false;
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> middles;
    const auto middle = [&](uint32_t a, uint32_t b) -> int64_t {
      if ((s.points[a] - s.points[b]).norm() <= length) return -1;
      const auto [entry, is_new] = middles.emplace(std::minmax(a, b), static_cast<uint32_t>(s.points.size()));
      if (is_new) s.points.push_back(0.5f * (s.points[a] + s.points[b]));
      return entry->second;
    };
    std::vector<std::array<uint32_t, 3>> faces;
    for (const auto& f : s.faces) {
      int64_t m[3];
      for (int k = 0; k < 3; ++k) m[k] = middle(f[k], f[(k + 1) % 3]);
      // The polygon with its new corners, cut into triangles from a new corner.
      std::vector<uint32_t> ring;
      size_t first = 0;
      for (int k = 0; k < 3; ++k) {
        ring.push_back(f[k]);
        if (m[k] < 0) continue;
        first = ring.size();
        ring.push_back(static_cast<uint32_t>(m[k]));
      }
      if (ring.size() == 3) {
        faces.push_back(f);
        continue;
      }
      again = true;
      if (ring.size() == 6) {
        for (const auto& t : {std::array<size_t, 3>{0, 1, 5}, {1, 2, 3}, {3, 4, 5}, {1, 3, 5}})
          faces.push_back({ring[t[0]], ring[t[1]], ring[t[2]]});
        continue;
      }
      for (size_t k = 1; k + 1 < ring.size(); ++k)
        faces.push_back({ring[first % ring.size()], ring[(first + k) % ring.size()],
                         ring[(first + k + 1) % ring.size()]});
    }
    s.faces = std::move(faces);
  }
  return s;
}

std::pair<Surface, Surface> cut(const Surface& surface, const std::function<float(const Vec3f&)>& side) {
  std::vector<float> value(surface.points.size());
  for (size_t i = 0; i < value.size(); ++i) {
    value[i] = side(surface.points[i]);
    if (value[i] == 0) value[i] = 1e-9f;
  }
  Side sides[2];
  for (const auto& f : surface.faces)
    for (int s = 0; s < 2; ++s) {
      const auto inside = [&](uint32_t i) { return (value[i] > 0) == (s == 0); };
      std::vector<uint32_t> ring;
      for (int k = 0; k < 3; ++k) {
        const uint32_t a = f[k], b = f[(k + 1) % 3];
        if (inside(a)) ring.push_back(sides[s].point({a, a}, surface.points[a]));
        if (inside(a) == inside(b)) continue;
        const auto [low, high] = std::minmax(a, b);
        const float t = value[low] / (value[low] - value[high]);
        ring.push_back(sides[s].point(
            {low, high}, surface.points[low] + t * (surface.points[high] - surface.points[low])));
      }
      for (size_t k = 1; k + 1 < ring.size(); ++k)
        sides[s].surface.faces.push_back({ring[0], ring[k], ring[k + 1]});
    }
  return {std::move(sides[0].surface), std::move(sides[1].surface)};
}

std::pair<Surface, Surface> apply_pattern(const Surface& surface, const std::string& pattern, float size,
                                          Rng& rng) {
  const float phase = rng.uniform(0, kTwoPi);
  std::function<float(const Vec3f&)> side;
  float edge = 0.035f * size;
  if (pattern == "striped") {
    const float k = kTwoPi / (rng.uniform(0.22f, 0.3f) * size);
    side = [=](const Vec3f& p) { return std::sin(k * p.z() + phase); };
  } else if (pattern == "checkered") {
    const float k = kTwoPi / (rng.uniform(0.4f, 0.5f) * size);
    // A shift that keeps the planes off the faces of boxes.
    side = [=](const Vec3f& p) {
      return std::sin(k * p.x() + 0.9f) * std::sin(k * p.y() + 0.9f) * std::sin(k * p.z() + 0.9f);
    };
  } else if (pattern == "dotted") {
    const float cell = rng.uniform(0.2f, 0.25f) * size, radius = 0.4f * cell;
    side = [=](const Vec3f& p) {
      float nearest = cell;
      for (const float shift : {0.0f, 0.5f}) {  // a body-centred lattice
        Vec3f d = p / cell + Vec3f::Constant(shift + phase / kTwoPi);
        for (int i = 0; i < 3; ++i) d[i] -= std::round(d[i]);
        nearest = std::min(nearest, cell * d.norm());
      }
      return nearest - radius;
    };
    edge = 0.025f * size;
  } else {
    T3D_CHECK(pattern == "wooden", "pattern ", pattern);
    const float k = kTwoPi / (rng.uniform(0.09f, 0.12f) * size), bend = rng.uniform(0.02f, 0.05f) * size;
    const Vec3f axis_at(rng.uniform(0.2f, 0.5f) * size, rng.uniform(0.2f, 0.5f) * size, 0);
    side = [=](const Vec3f& p) {
      const float wave = bend * std::sin(7 * p.z() / size + phase);
      return std::sin(k * (std::hypot(p.x() - axis_at.x() + wave, p.y() - axis_at.y()))) + 0.3f;
    };
    edge = 0.02f * size;
  }
  return cut(split_long_edges(surface, edge), side);
}

}  // namespace t3d::toybox
