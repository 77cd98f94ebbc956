#include "t3d/evaluate/truth_views.h"

#include "t3d/core/interrupt.h"
#include "t3d/core/rng.h"
#include "t3d/toybox/render_objects.h"

namespace t3d::evaluate {
namespace {

constexpr uint64_t kTruthSeed = 0x7f00000, kDrawStream = 0x73;
constexpr float kFovDeg = 45, kDarkestGrey = 0.35f;
constexpr int kPaths = 12;

}  // namespace

Camera Orbit::camera(int view) const {
  const float azimuth = 360.0f * static_cast<float>(view) / static_cast<float>(n_views);
  return toybox::object_camera(resolution, azimuth, elevation_deg, kFovDeg);
}

std::vector<io::Image8> orbit_views(const trace::Scene& scene, const Orbit& orbit, uint64_t seed,
                                    bool unlit) {
  std::vector<io::Image8> views;
  for (int i = 0; i < orbit.n_views; ++i) {
    trace::RenderSettings settings;
    settings.samples = kPaths;
    settings.seed = seed + static_cast<uint64_t>(i);
    settings.unlit = unlit;
    views.push_back(trace::render_view(scene, orbit.camera(i), settings).rgba);
  }
  return views;
}

Truth make_truth(const toybox::Description& description, uint64_t seed, const Orbit& orbit) {
  const auto object = toybox::make_object(description, seed);
  const trace::Scene scene = toybox::lit_scene(object);
  return {orbit_views(scene, orbit, seed, false), object.mesh.bounds()};
}

std::vector<io::Image8> truth_views(const toybox::Description& description, uint64_t seed,
                                    const Orbit& orbit) {
  return make_truth(description, seed, orbit).views;
}

std::vector<Truth> make_truths(const toybox::Description& description, int n, const Orbit& orbit,
                               const StopToken& stop) {
  std::vector<Truth> truths;
  for (int k = 0; k < n; ++k) {
    stop.throw_if_requested("nothing was written");
    truths.push_back(make_truth(description, kTruthSeed + static_cast<uint64_t>(k), orbit));
  }
  return truths;
}

CaptionDraw draw_for_caption(uint64_t seed, size_t i) {
  Rng rng(seed, kDrawStream + (static_cast<uint64_t>(i) << 16));
  const float grey = rng.uniform(kDarkestGrey, 1);
  return {grey, rng.next_u32()};
}

}  // namespace t3d::evaluate
