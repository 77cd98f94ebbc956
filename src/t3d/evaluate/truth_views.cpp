#include "t3d/evaluate/truth_views.h"

#include "t3d/toybox/render_objects.h"

namespace t3d::evaluate {

std::vector<io::Image8> truth_views(const toybox::Description& description, uint64_t seed,
                                    const Orbit& orbit) {
  constexpr float kFovDeg = 45;
  constexpr int kPaths = 12;
  const auto object = toybox::make_object(description, seed);
  const trace::Scene scene = toybox::lit_scene(object);
  std::vector<io::Image8> views;
  for (int i = 0; i < orbit.n_views; ++i) {
    const float azimuth = 360.0f * static_cast<float>(i) / static_cast<float>(orbit.n_views);
    trace::RenderSettings settings;
    settings.samples = kPaths;
    settings.seed = seed + static_cast<uint64_t>(i);
    views.push_back(
        trace::render_view(
            scene, toybox::object_camera(orbit.resolution, azimuth, orbit.elevation_deg, kFovDeg), settings)
            .rgba);
  }
  return views;
}

}  // namespace t3d::evaluate
