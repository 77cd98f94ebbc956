#include "t3d/trace/path_tracer.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "t3d/math/srgb.h"
#include "t3d/trace/bsdf.h"
#include "t3d/trace/sampler.h"

namespace t3d::trace {
namespace {

constexpr int kTile = 16;

/// An orthonormal frame around a unit z axis. Duff et al. 2017, "Building an orthonormal basis, revisited".
struct Frame {
  Vec3f x, y, z;
  explicit Frame(const Vec3f& n) : z(n) {
    const float sign = std::copysign(1.0f, n.z()), a = -1.0f / (sign + n.z()), b = n.x() * n.y() * a;
    x = Vec3f(1.0f + sign * n.x() * n.x() * a, sign * b, -sign * n.x());
    y = Vec3f(b, sign + n.y() * n.y() * a, -n.y());
  }
  Vec3f to_local(const Vec3f& v) const { return {v.dot(x), v.dot(y), v.dot(z)}; }
  Vec3f to_world(const Vec3f& v) const { return v.x() * x + v.y() * y + v.z() * z; }
};

/// A ray origin just off the surface, on the side of `normal`.
Vec3f off_surface(const Hit& hit) {
  const float scale = std::max(1.0f, hit.point.cwiseAbs().maxCoeff());
  return hit.point + hit.geometric_normal * (2e-5f * scale);
}

/// The square light with its frame worked out once.
struct LightFrame {
  Vec3f center, normal, x, y, radiance;
  float area;
  explicit LightFrame(const AreaLight& light)
      : center(light.position),
        normal((light.target - light.position).normalized()),
        radiance(light.radiance),
        area(light.side * light.side) {
    const Frame frame(normal);
    x = frame.x * light.side;
    y = frame.y * light.side;
  }
};

Vec3f direct_light(const Scene& scene, const LightFrame& light, const Hit& hit, const Frame& frame,
                   const Bsdf& bsdf, const Vec3f& out, const Vec2f& u) {
  if (light.area <= 0) return Vec3f::Zero();
  const Vec3f origin = off_surface(hit);
  const Vec3f target = light.center + (u.x() - 0.5f) * light.x + (u.y() - 0.5f) * light.y;
  const Vec3f offset = target - origin;
  const float distance2 = offset.squaredNorm(), distance = std::sqrt(distance2);
  const Vec3f direction = offset / distance;
  const float light_cosine = -direction.dot(light.normal);
  if (light_cosine <= 0 || direction.dot(hit.geometric_normal) <= 0) return Vec3f::Zero();
  const Vec3f in = frame.to_local(direction);
  if (in.z() <= 0) return Vec3f::Zero();
  const Vec3f reflected = bsdf.evaluate(out, in) * (in.z() * light_cosine * light.area / distance2);
  if (scene.occluded(origin, direction, distance * 0.9999f)) return Vec3f::Zero();
  return reflected.cwiseProduct(light.radiance);
}

/// Radiance that leaves the first surface towards the camera.
Vec3f trace_path(const Scene& scene, const LightFrame& light, const Ray& first_ray, Hit hit, int max_bounces,
                 PixelSampler& sampler) {
  Vec3f radiance = Vec3f::Zero(), throughput = Vec3f::Ones();
  Vec3f direction = first_ray.direction;
  for (int bounce = 0;; ++bounce) {
    if (hit.is_unlit) return radiance + throughput.cwiseProduct(hit.base_colour);
    const Frame frame(hit.shading_normal);
    const Bsdf bsdf(hit.base_colour, hit.metallic, hit.roughness, hit.specular);
    const Vec3f out = frame.to_local(-direction);
    radiance += throughput.cwiseProduct(hit.emission);
    radiance += throughput.cwiseProduct(direct_light(scene, light, hit, frame, bsdf, out, sampler.next_2d()));
    const Vec2f u = sampler.next_2d();
    const Bsdf::Sample next = bsdf.sample(out, sampler.next_1d(), u);
    const Vec3f world = frame.to_world(next.in);
    if (next.weight.isZero(0.0f) || world.dot(hit.geometric_normal) <= 0) return radiance;
    throughput = throughput.cwiseProduct(next.weight) * hit.occlusion;
    const Vec3f origin = off_surface(hit);
    if (bounce == max_bounces) {  // the last reflection sees the environment or nothing
      if (!scene.occluded(origin, world, 1e30f))
        radiance += throughput.cwiseProduct(scene.environment().radiance(world));
      return radiance;
    }
    direction = world;
    if (!scene.intersect({origin, direction}, hit))
      return radiance + throughput.cwiseProduct(scene.environment().radiance(direction));
  }
}

uint8_t srgb_code(float linear) {
  return static_cast<uint8_t>(255.0f * srgb_from_linear(std::clamp(linear, 0.0f, 1.0f)) + 0.5f);
}

class ViewRenderer {
 public:
  ViewRenderer(const Scene& scene, const Camera& camera, const RenderSettings& settings)
      : scene_(scene), camera_(camera), settings_(settings), light_(scene.light()) {
    const int w = camera.lens.width, h = camera.lens.height;
    view_.rgba = io::Image8(w, h, 4);
    if (settings.auxiliary) {
      view_.depth = io::ImageF(w, h, 1);
      view_.normal = io::Image8(w, h, 3);
      view_.mask = io::Image8(w, h, 1);
    }
  }

  RenderedView render() {
    const int tiles_x = (camera_.lens.width + kTile - 1) / kTile,
              tiles_y = (camera_.lens.height + kTile - 1) / kTile;
    std::atomic<int> next{0};
    const auto work = [&] {
      for (int tile; (tile = next.fetch_add(1)) < tiles_x * tiles_y;)
        render_tile(tile % tiles_x, tile / tiles_x);
    };
    const int n_threads = settings_.n_threads > 0
                              ? settings_.n_threads
                              : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    std::vector<std::thread> helpers;
    for (int i = 1; i < n_threads; ++i) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
    return std::move(view_);
  }

 private:
  void render_tile(int tile_x, int tile_y) {
    for (int y = tile_y * kTile; y < std::min((tile_y + 1) * kTile, camera_.lens.height); ++y) {
      for (int x = tile_x * kTile; x < std::min((tile_x + 1) * kTile, camera_.lens.width); ++x) {
        render_pixel(x, y);
        if (settings_.auxiliary) render_auxiliary(x, y);
      }
    }
  }

  void render_pixel(int x, int y) {
    PixelSampler sampler(settings_.seed, static_cast<uint32_t>(y * camera_.lens.width + x),
                         static_cast<uint32_t>(settings_.samples));
    Vec3f sum = Vec3f::Zero();
    int n_hits = 0;
    for (int i = 0; i < settings_.samples; ++i) {
      sampler.start_sample(static_cast<uint32_t>(i));
      const Vec2f jitter = sampler.next_2d();
      const Ray ray = camera_.ray(static_cast<float>(x) + jitter.x(), static_cast<float>(y) + jitter.y());
      Hit hit;
      const bool is_hit =
          scene_.has_blending() ? scene_.intersect(ray, hit, sampler.next_1d()) : scene_.intersect(ray, hit);
      if (!is_hit) continue;
      ++n_hits;
      const Vec3f radiance = settings_.unlit
                                 ? hit.base_colour
                                 : trace_path(scene_, light_, ray, hit, settings_.max_bounces, sampler);
      if (radiance.allFinite()) sum += radiance.cwiseMin(20.0f);
    }
    if (n_hits == 0) return;
    const Vec3f mean = sum / static_cast<float>(n_hits);
    uint8_t* p = view_.rgba.at(x, y);
    for (int c = 0; c < 3; ++c) p[c] = srgb_code(mean[c]);
    p[3] = static_cast<uint8_t>(255.0f * static_cast<float>(n_hits) / static_cast<float>(settings_.samples) +
                                0.5f);
  }

  void render_auxiliary(int x, int y) {
    Hit hit;
    const bool is_hit =
        scene_.intersect(camera_.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f), hit, 0.5f);
    *view_.depth.at(x, y) = is_hit ? hit.t : 0.0f;
    *view_.mask.at(x, y) = is_hit ? 255 : 0;
    for (int c = 0; c < 3; ++c)
      view_.normal.at(x, y)[c] = is_hit ? static_cast<uint8_t>(127.5f * hit.shading_normal[c] + 127.5f) : 127;
  }

  const Scene& scene_;
  const Camera& camera_;
  const RenderSettings& settings_;
  LightFrame light_;
  RenderedView view_;
};

}  // namespace

RenderedView render_view(const Scene& scene, const Camera& camera, const RenderSettings& settings) {
  return ViewRenderer(scene, camera, settings).render();
}

}  // namespace t3d::trace
