#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "t3d/ops/occupancy.h"

namespace t3d::ops::cpu {
namespace {

/// A camera as the visibility test needs it.
struct Viewer {
  explicit Viewer(const Camera& camera)
      : lens(camera.lens), position(camera.position()), world_to_camera(camera.camera_to_world.inverse()) {
    if (lens.is_fisheye) {
      largest_radius = lens.largest_angle();
      return;
    }
    const float w = static_cast<float>(lens.width), h = static_cast<float>(lens.height);
    float corner = 0.0f;
    for (float u : {0.0f, 0.5f * w, w})
      for (float v : {0.0f, 0.5f * h, h}) corner = std::max(corner, lens.undistort(u, v).norm());
    slant = std::sqrt(1.0f + corner * corner);
    // The distortion polynomial folds back far outside the image: points beyond the image's own largest
    // angle are out without asking it.
    if (lens.has_distortion()) largest_radius = corner;
  }

  /// Depth of the point, and whether a ball of `radius` around it can reach into the image.
  bool sees(const Vec3f& world, float radius, float* depth) const {
    const Vec4f p = world_to_camera * world.homogeneous();
    *depth = -p.z();
    if (lens.is_fisheye) return fisheye_sees({p.x(), -p.y(), *depth}, radius, depth);
    if (*depth <= -radius) return false;
    if (*depth <= radius) return true;  // the ball holds part of the camera's plane
    const float x = p.x() / *depth, y = -p.y() / *depth, reach = radius / *depth;
    if (std::sqrt(x * x + y * y) > largest_radius + reach) return false;
    const Vec2f pixel =
        lens.has_distortion() ? lens.distort(x, y) : Vec2f(lens.fx * x + lens.cx, lens.fy * y + lens.cy);
    const float margin_u = lens.fx * reach, margin_v = lens.fy * reach;
    return pixel.x() >= -margin_u && pixel.x() <= static_cast<float>(lens.width) + margin_u &&
           pixel.y() >= -margin_v && pixel.y() <= static_cast<float>(lens.height) + margin_v;
  }

  /// The same for a lens that looks to the side and behind: by angles, and the depth is the distance.
  bool fisheye_sees(const Vec3f& point, float radius, float* depth) const {
    *depth = point.norm();
    if (*depth <= radius) return true;
    const float angle = std::atan2(std::hypot(point.x(), point.y()), point.z());
    const float reach = std::asin(radius / *depth);
    if (angle > largest_radius + reach) return false;
    // Across the radius the image is stretched by angle / sin(angle); the factor leaves room for distortion.
    const float stretch = 1.5f * std::min(20.0f, angle / std::max(1e-3f, std::sin(angle)));
    const Vec2f pixel = lens.project(point);
    const float margin_u = lens.fx * reach * stretch, margin_v = lens.fy * reach * stretch;
    return pixel.x() >= -margin_u && pixel.x() <= static_cast<float>(lens.width) + margin_u &&
           pixel.y() >= -margin_v && pixel.y() <= static_cast<float>(lens.height) + margin_v;
  }

  /// Whether the point is in the image, nearer to it than `distance` along the optical axis.
  bool sees_too_near(const Vec3f& world, float distance) const {
    const float reach = 1.1f * slant * distance;  // what lies farther away than this is not
    float depth;
    return (world - position).squaredNorm() < reach * reach && sees(world, 0.0f, &depth) && depth >= 0.0f &&
           depth < distance;
  }

  Lens lens;
  Vec3f position;
  Mat4f world_to_camera;
  float largest_radius = 1e30f;  // of a fisheye lens, an angle
  float slant = 1.0f;            // distance of a point over its depth, at most, within the image
};

}  // namespace

void mark_unseen(const Camera* cameras, int64_t n_cameras, int n_cascades, float near_distance,
                 float* density) {
  const std::vector<Viewer> viewers(cameras, cameras + n_cameras);
  at::parallel_for(0, int64_t{n_cascades} * kCellsPerCascade, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t cell = begin; cell < end; ++cell) {
      Vec3f centre;
      cell_point(static_cast<uint32_t>(cell), 0.5f, 0.5f, 0.5f, centre.data());
      const float radius =
          0.5f * kSqrt3 / kGridSide * cascade_side(static_cast<int>(cell / kCellsPerCascade));
      const bool is_seen = std::any_of(viewers.begin(), viewers.end(), [&](const Viewer& viewer) {
        float depth;
        return viewer.sees(centre, radius, &depth);
      });
      const bool is_too_near = is_seen && near_distance > 0.0f &&
                               std::any_of(viewers.begin(), viewers.end(), [&](const Viewer& viewer) {
                                 return viewer.sees_too_near(centre, near_distance);
                               });
      density[cell] = is_seen && !is_too_near ? 0.0f : -1.0f;
    }
  });
}

}  // namespace t3d::ops::cpu
