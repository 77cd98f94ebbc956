#include "t3d/trace/camera_sets.h"

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/core/sentence.h"

namespace t3d::trace {
namespace {

constexpr float kDegrees = 57.29577951308232f;

struct Direction {
  float azimuth_deg, elevation_deg;
};

Direction draw(const CameraSetOptions& options, int view, Rng& rng) {
  switch (options.set) {
    case CameraSet::Sphere: {
      const float azimuth = 360.0f * rng.uniform();
      return {azimuth, std::asin(2.0f * rng.uniform() - 1.0f) * kDegrees};
    }
    case CameraSet::Shapenet: {
      const float azimuth = 360.0f * rng.uniform();
      return {azimuth, 30.0f * rng.uniform()};
    }
    case CameraSet::Orbit:
      return {360.0f * static_cast<float>(view) / static_cast<float>(options.n_views), options.elevation_deg};
    case CameraSet::Mvdream:
      break;
  }
  Rng group(options.seed, options.stream * 1000003u + static_cast<uint64_t>(view / 4));
  const float azimuth = 11.25f * static_cast<float>(group.below(32));
  return {azimuth + 90.0f * static_cast<float>(view % 4), 30.0f * group.uniform()};
}

}  // namespace

CameraSet camera_set_from_name(const std::string& name) {
  const std::vector<std::string> names = {"sphere", "shapenet", "orbit", "mvdream"};
  for (size_t i = 0; i < names.size(); ++i)
    if (name == names[i]) return static_cast<CameraSet>(i);
  throw UserError(cat("--cameras ", name, ": no such camera set", end_or_suggestion(name, names),
                      " Expected sphere, shapenet, orbit or mvdream."));
}

std::vector<Camera> make_cameras(const CameraSetOptions& options) {
  const Lens lens = Lens::from_fov_x(options.resolution, options.resolution, options.fov_deg / kDegrees);
  Rng rng(options.seed, options.stream);
  std::vector<Camera> cameras;
  for (int view = 0; view < options.n_views; ++view) {
    const Direction direction = draw(options, view, rng);
    const Vec3f position =
        spherical_position(direction.azimuth_deg, direction.elevation_deg, options.distance);
    cameras.push_back({lens, look_at(position, Vec3f::Zero())});
  }
  return cameras;
}

}  // namespace t3d::trace
