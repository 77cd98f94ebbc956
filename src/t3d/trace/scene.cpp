#include "t3d/trace/scene.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "t3d/core/error.h"

#ifdef T3D_HAS_EMBREE
#include "t3d/trace/embree.h"
#endif

namespace t3d::trace {
namespace {

/// A number in [0,1) that depends on the ray alone.
float coin_of(const Ray& ray) {
  uint64_t bits = 0x9e3779b97f4a7c15u;
  for (int axis = 0; axis < 3; ++axis)
    for (const float value : {ray.origin[axis], ray.direction[axis]}) {
      uint32_t word;
      std::memcpy(&word, &value, sizeof word);
      bits = (bits ^ word) * 0xbf58476d1ce4e5b9u;
      bits ^= bits >> 29;
    }
  return static_cast<float>(bits >> 40) * 0x1p-24f;
}

}  // namespace

Vec3f Environment::radiance(const Vec3f& direction) const {
  const float z = direction.z();
  return z >= 0 ? Vec3f(horizon + z * (zenith - horizon)) : Vec3f(horizon - z * (nadir - horizon));
}

#ifndef T3D_HAS_EMBREE

struct Scene::Accelerator {};
Scene::Scene(io::Mesh, const Environment&, const AreaLight&) {
  throw SystemError("this build cannot trace rays. Install libembree-dev and build again.");
}
Scene::~Scene() = default;
bool Scene::intersect(const Ray&, Hit&, float) const {
  return false;
}
bool Scene::intersect(const Ray&, Hit&) const {
  return false;
}
bool Scene::occluded(const Vec3f&, const Vec3f&, float) const {
  return false;
}
bool Scene::first_stop(const Ray&, float, SurfacePoint&, float&) const {
  return false;
}

#else

struct Scene::Accelerator {
  RTCDevice device = nullptr;
  RTCScene scene = nullptr;
  ~Accelerator() {
    if (scene != nullptr) rtcReleaseScene(scene);
    if (device != nullptr) rtcReleaseDevice(device);
  }
};

Scene::Scene(io::Mesh mesh, const Environment& environment, const AreaLight& light)
    : mesh_(std::move(mesh)),
      environment_(environment),
      light_(light),
      accelerator_(std::make_unique<Accelerator>()) {
  T3D_CHECK(!mesh_.faces.empty(), "a scene needs at least one face");
  if (mesh_.materials.empty()) mesh_.materials.emplace_back();
  for (const auto& material : mesh_.materials) {
    if (!may_let_through(mesh_, material)) continue;
    has_cutouts_ = true;
    has_blending_ |= material.alpha_mode == io::AlphaMode::Blend;
  }

  accelerator_->device = rtcNewDevice(nullptr);
  if (accelerator_->device == nullptr) throw SystemError("Embree could not start on this processor.");
  RTCGeometry geometry = rtcNewGeometry(accelerator_->device, RTC_GEOMETRY_TYPE_TRIANGLE);
  auto* vertices = static_cast<float*>(rtcSetNewGeometryBuffer(
      geometry, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3, 3 * sizeof(float), mesh_.positions.size()));
  auto* faces = static_cast<uint32_t*>(rtcSetNewGeometryBuffer(
      geometry, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3, 3 * sizeof(uint32_t), mesh_.faces.size()));
  if (vertices == nullptr || faces == nullptr)
    throw SystemError("out of memory for the mesh. Use a smaller one.");
  for (size_t i = 0; i < mesh_.positions.size(); ++i)
    for (int axis = 0; axis < 3; ++axis)
      vertices[3 * i + static_cast<size_t>(axis)] = mesh_.positions[i][axis];
  for (size_t i = 0; i < mesh_.faces.size(); ++i)
    std::copy(mesh_.faces[i].begin(), mesh_.faces[i].end(), faces + 3 * i);
  rtcCommitGeometry(geometry);
  accelerator_->scene = rtcNewScene(accelerator_->device);
  rtcSetSceneFlags(accelerator_->scene, RTC_SCENE_FLAG_ROBUST);
  rtcSetSceneBuildQuality(accelerator_->scene, RTC_BUILD_QUALITY_HIGH);
  rtcAttachGeometry(accelerator_->scene, geometry);
  rtcReleaseGeometry(geometry);
  rtcCommitScene(accelerator_->scene);
}

Scene::~Scene() = default;

bool Scene::first_stop(const Ray& ray, float coin, SurfacePoint& at, float& t) const {
  float nearest = 0.0f;
  for (int layer = 0; layer < 64; ++layer) {
    RTCRayHit query;
    query.ray.org_x = ray.origin.x();
    query.ray.org_y = ray.origin.y();
    query.ray.org_z = ray.origin.z();
    query.ray.dir_x = ray.direction.x();
    query.ray.dir_y = ray.direction.y();
    query.ray.dir_z = ray.direction.z();
    query.ray.tnear = nearest;
    query.ray.tfar = std::numeric_limits<float>::infinity();
    query.ray.time = 0.0f;
    query.ray.mask = ~0u;
    query.ray.id = 0;
    query.ray.flags = 0;
    query.hit.geomID = RTC_INVALID_GEOMETRY_ID;
    query.hit.instID[0] = RTC_INVALID_GEOMETRY_ID;
    embree_intersect(accelerator_->scene, query);
    if (query.hit.geomID == RTC_INVALID_GEOMETRY_ID) return false;
    t = query.ray.tfar;
    at = {query.hit.primID, query.hit.u, query.hit.v};
    const float stopped = has_cutouts_ ? stopped_fraction(mesh_, at) : 1.0f;
    if (stopped > coin) return true;
    // Uniform again among the rays that went on.
    coin = std::min((coin - stopped) / (1.0f - stopped), 0x1.fffffep-1f);
    nearest = std::nextafter(t * 1.00001f, std::numeric_limits<float>::infinity());
  }
  return false;
}

bool Scene::intersect(const Ray& ray, Hit& hit, float coin) const {
  SurfacePoint at;
  if (!first_stop(ray, coin, at, hit.t)) return false;
  shade(mesh_, at, ray.direction, hit);
  return true;
}

bool Scene::intersect(const Ray& ray, Hit& hit) const {
  return intersect(ray, hit, has_blending_ ? coin_of(ray) : 0.5f);
}

bool Scene::occluded(const Vec3f& origin, const Vec3f& direction, float distance) const {
  if (has_cutouts_) {
    const Ray ray{origin, direction};
    SurfacePoint at;
    float t;
    return first_stop(ray, has_blending_ ? coin_of(ray) : 0.5f, at, t) && t < distance;
  }
  RTCRay query;
  query.org_x = origin.x();
  query.org_y = origin.y();
  query.org_z = origin.z();
  query.dir_x = direction.x();
  query.dir_y = direction.y();
  query.dir_z = direction.z();
  query.tnear = 0.0f;
  query.tfar = distance;
  query.time = 0.0f;
  query.mask = ~0u;
  query.id = 0;
  query.flags = 0;
  embree_occluded(accelerator_->scene, query);
  return query.tfar < 0.0f;
}

#endif

}  // namespace t3d::trace
