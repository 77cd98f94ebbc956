#include "t3d/toybox/render_objects.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "t3d/core/interrupt.h"

namespace t3d::toybox {
namespace {

constexpr uint64_t kCaptionStream = 0xca9, kCameraStream = 0xca3, kPhraseStream = 0x94a;

struct Shot {
  Camera camera;
  float fov_deg;
};

/// MVDream's cameras (Shi et al. 2023, section 4.1): an even orbit from a random azimuth, then single views.
std::vector<Shot> draw_shots(const RenderPlan& plan, uint64_t key) {
  Rng rng(key, kCameraStream);
  std::vector<Shot> shots;
  const auto add = [&](float azimuth, float elevation, float fov, float closeness) {
    shots.push_back({object_camera(plan.resolution, azimuth, elevation, fov, closeness), fov});
  };
  const float fov = rng.uniform(35, 55), closeness = rng.uniform(0.66f, 0.76f);
  const float azimuth = rng.uniform(0, 360), elevation = rng.uniform(-5, 35);
  for (int i = 0; i < plan.n_orbit; ++i)
    add(azimuth + 360.0f * static_cast<float>(i) / static_cast<float>(plan.n_orbit), elevation, fov,
        closeness);
  for (int i = 0; i < plan.n_single; ++i)
    add(rng.uniform(0, 360), rng.uniform(-20, 70), rng.uniform(35, 55), rng.uniform(0.66f, 0.76f));
  return shots;
}

uint64_t key_of(const RenderPlan& plan, int64_t index) {
  return Philox::at(plan.seed, static_cast<uint64_t>(index), 0x0b7).v[0] |
         uint64_t{Philox::at(plan.seed, static_cast<uint64_t>(index), 0x0b7).v[1]} << 32;
}

}  // namespace

Description described(const RenderPlan& plan, int64_t index) {
  Rng rng(key_of(plan, index), kCaptionStream);
  Description d = draw_description(rng);
  while (is_held_out(d) != plan.held_out) d = draw_description(rng);
  return d;
}

Camera object_camera(int resolution, float azimuth_deg, float elevation_deg, float fov_deg, float closeness) {
  const float half = 0.5f * fov_deg * static_cast<float>(M_PI) / 180;
  return {Lens::from_fov_x(resolution, resolution, 2 * half),
          look_at(spherical_position(azimuth_deg, elevation_deg, closeness / std::tan(half)), Vec3f::Zero())};
}

trace::Scene lit_scene(const ToyObject& object) {
  return trace::Scene(object.mesh, trace::Environment(), trace::AreaLight());
}

data::CaptionedViews render_objects(const RenderPlan& plan, int64_t first, int64_t n, int n_threads,
                                    const std::function<void()>& on_object, const StopToken& token) {
  const int64_t n_views = plan.n_orbit + plan.n_single, side = plan.resolution, picture = side * side * 4;
  data::CaptionedViews out;
  out.rgba = at::zeros({n, n_views, side, side, 4}, at::kByte);
  out.camera_to_world = at::empty({n, n_views, 4, 4}, at::kFloat);
  out.fov_deg = at::empty({n, n_views}, at::kFloat);
  out.captions.resize(static_cast<size_t>(n));
  auto* pixels = out.rgba.data_ptr<uint8_t>();
  auto* poses = out.camera_to_world.data_ptr<float>();
  auto* fovs = out.fov_deg.data_ptr<float>();

  const auto render_one = [&](int64_t i) {
    const uint64_t key = key_of(plan, first + i);
    const Description d = described(plan, first + i);
    const ToyObject object = make_object(d, key);
    std::string& lines = out.captions[static_cast<size_t>(i)];
    lines = caption(d);
    Rng phrases(key, kPhraseStream);
    for (int k = 1; k < plan.n_phrases; ++k) lines += "\n" + phrase(d, phrases);
    const trace::Scene scene = lit_scene(object);
    const auto shots = draw_shots(plan, key);
    for (int64_t v = 0; v < n_views; ++v) {
      const Shot& shot = shots[static_cast<size_t>(v)];
      trace::RenderSettings settings;
      settings.samples = plan.samples;
      settings.seed = key + static_cast<uint64_t>(v);
      settings.n_threads = 1;
      const auto view = trace::render_view(scene, shot.camera, settings);
      std::memcpy(pixels + (i * n_views + v) * picture, view.rgba.pixels.data(),
                  static_cast<size_t>(picture));
      for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c)
          poses[(i * n_views + v) * 16 + r * 4 + c] = shot.camera.camera_to_world(r, c);
      fovs[i * n_views + v] = shot.fov_deg;
    }
  };

  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (int64_t i = next++; i < n && !stop; i = next++) {
        token.throw_if_requested("the shards that are done are kept");
        render_one(i);
        const std::lock_guard<std::mutex> lock(mutex);
        if (on_object) on_object();
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
  };
  std::vector<std::thread> threads;
  for (int t = 1; t < n_threads; ++t) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  return out;
}

}  // namespace t3d::toybox
