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
      : lens(camera.lens), world_to_camera(camera.camera_to_world.inverse()) {
    if (!lens.has_distortion()) return;
    // The distortion polynomial folds back far outside the image: points beyond the image's own largest
    // angle are out without asking it.
    largest_radius = 0.0f;
    const float w = static_cast<float>(lens.width), h = static_cast<float>(lens.height);
    for (float u : {0.0f, 0.5f * w, w})
      for (float v : {0.0f, 0.5f * h, h})
        largest_radius = std::max(largest_radius, lens.undistort(u, v).norm());
  }

  /// Depth of the point, and whether a ball of `radius` around it can reach into the image.
  bool sees(const Vec3f& world, float radius, float* depth) const {
    const Vec4f p = world_to_camera * world.homogeneous();
    *depth = -p.z();
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

  Lens lens;
  Mat4f world_to_camera;
  float largest_radius = 1e30f;
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
      bool is_seen = false, is_too_near = false;
      for (const Viewer& viewer : viewers) {
        float depth;
        if (!viewer.sees(centre, radius, &depth)) continue;
        is_seen = true;
        if (depth >= 0.0f && depth < near_distance && viewer.sees(centre, 0.0f, &depth)) {
          is_too_near = true;
          break;
        }
        if (near_distance <= 0.0f) break;
      }
      density[cell] = is_seen && !is_too_near ? 0.0f : -1.0f;
    }
  });
}

}  // namespace t3d::ops::cpu
