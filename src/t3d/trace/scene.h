#pragma once

#include <memory>

#include "t3d/io/mesh.h"
#include "t3d/math/camera.h"
#include "t3d/trace/surface.h"

namespace t3d::trace {

/// Light from everywhere: a vertical gradient (linear radiance) that rays see when they leave the scene. The
/// camera sees a transparent background instead.
struct Environment {
  Vec3f zenith = Vec3f::Constant(0.75f), horizon = Vec3f::Constant(0.6f), nadir = Vec3f::Constant(0.4f);
  Vec3f radiance(const Vec3f& direction) const;
};

/// A square that emits towards `target` and casts soft shadows; rays do not see it.
struct AreaLight {
  Vec3f position = Vec3f(1.6f, -1.2f, 2.2f), target = Vec3f::Zero();
  float side = 1.0f;
  Vec3f radiance = Vec3f::Constant(9.0f);
};

/// A mesh in a bounding-volume hierarchy (Embree), ready for rays from any thread.
class Scene {
 public:
  /// Throws SystemError when this build has no Embree.
  Scene(io::Mesh mesh, const Environment& environment, const AreaLight& light);
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  /// The first surface along the ray that stops it. `coin` in [0,1) decides for surfaces that stop a fraction
  /// of the light only (io::AlphaMode::Blend): the first at which all so far have stopped more than `coin` of
  /// it. Without one it is drawn from the ray itself.
  bool intersect(const Ray& ray, Hit& hit, float coin) const;
  bool intersect(const Ray& ray, Hit& hit) const;
  /// Whether anything lies on the ray before `distance`.
  bool occluded(const Vec3f& origin, const Vec3f& direction, float distance) const;

  /// Whether a surface stops a fraction of the light only.
  bool has_blending() const { return has_blending_; }

  const Environment& environment() const { return environment_; }
  const AreaLight& light() const { return light_; }

 private:
  struct Accelerator;
  bool first_stop(const Ray& ray, float coin, SurfacePoint& at, float& t) const;

  io::Mesh mesh_;
  Environment environment_;
  AreaLight light_;
  bool has_cutouts_ = false, has_blending_ = false;
  std::unique_ptr<Accelerator> accelerator_;
};

}  // namespace t3d::trace
