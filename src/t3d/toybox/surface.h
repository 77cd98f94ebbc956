#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "t3d/math/vec.h"

namespace t3d::toybox {

/// A closed surface of triangles, counter-clockwise from outside; the moves return the surface itself.
struct Surface {
  std::vector<Vec3f> points;
  std::vector<std::array<uint32_t, 3>> faces;

  Surface& move(const Vec3f& by);
  Surface& scale(const Vec3f& by);  // about the origin; a mirror image turns its faces round
  Surface& turn(const Vec3f& axis, float degrees, const Vec3f& about = Vec3f::Zero());
  Surface& append(const Surface& other);
  /// The volume inside, negative when the faces look inwards.
  float signed_volume() const;
  /// Turns all faces round when they look inwards.
  Surface& look_outwards();
};

Surface ellipsoid(const Vec3f& center, const Vec3f& radii);
inline Surface ball(const Vec3f& center, float radius) {
  return ellipsoid(center, Vec3f::Constant(radius));
}
Surface box(const Vec3f& center, const Vec3f& size);
Surface rounded_box(const Vec3f& center, const Vec3f& size, float radius);
/// A profile of (radius, height) from bottom to top, turned about the vertical through `base`; ends off the
/// axis are closed with a disc. `n` sides, 0: enough to look round.
Surface lathe(const std::vector<Vec2f>& profile, const Vec3f& base = Vec3f::Zero(), int n = 0);
/// A round bar from a to b; radii may differ, and one may be 0 (a cone). `n` sides, 0: round.
Surface bar(const Vec3f& a, const Vec3f& b, float radius_a, float radius_b, int n = 0);
inline Surface cylinder(const Vec3f& a, const Vec3f& b, float radius) {
  return bar(a, b, radius, radius);
}
Surface torus(const Vec3f& center, const Vec3f& axis, float radius, float thickness);
/// A round tube through the points, its radius going evenly through `radii`; round ends.
Surface tube(const std::vector<Vec3f>& points, const std::vector<float>& radii);
/// A plate: the polygon (counter-clockwise, no crossings) in the plane origin + x u + y v, thickened to both
/// sides.
Surface plate(const std::vector<Vec2f>& polygon, const Vec3f& origin, const Vec3f& u, const Vec3f& v,
              float thickness);

/// A smooth curve (Catmull-Rom) through the points, `steps` pieces between two.
std::vector<Vec3f> smooth(const std::vector<Vec3f>& points, int steps = 6);
std::vector<Vec2f> curve(const std::vector<Vec2f>& points, int steps = 5);

}  // namespace t3d::toybox
