#include "t3d/trace/scene.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "t3d/core/error.h"

#ifdef T3D_HAS_EMBREE
#include "t3d/trace/embree.h"
#endif

namespace t3d::trace {
namespace {

float linear_from_srgb(float v) {
  return v <= 0.04045f ? v / 12.92f : std::pow((v + 0.055f) / 1.055f, 2.4f);
}

/// linear value of each 8-bit sRGB code.
const std::array<float, 256>& srgb_table() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> values{};
    for (int i = 0; i < 256; ++i)
      values[static_cast<size_t>(i)] = linear_from_srgb(static_cast<float>(i) / 255.0f);
    return values;
  }();
  return table;
}

/// Bilinear lookup with repeat; linear RGB and alpha.
Vec4f lookup(const io::Image8& texture, const Vec2f& uv) {
  const auto& linear = srgb_table();
  const float x = (uv.x() - std::floor(uv.x())) * static_cast<float>(texture.width) - 0.5f;
  const float y = (1.0f - (uv.y() - std::floor(uv.y()))) * static_cast<float>(texture.height) - 0.5f;
  const float fx = x - std::floor(x), fy = y - std::floor(y);
  const auto wrap = [](int i, int n) { return (i % n + n) % n; };
  const int x0 = wrap(static_cast<int>(std::floor(x)), texture.width), x1 = wrap(x0 + 1, texture.width);
  const int y0 = wrap(static_cast<int>(std::floor(y)), texture.height), y1 = wrap(y0 + 1, texture.height);
  Vec4f sum = Vec4f::Zero();
  const auto add = [&](int px, int py, float weight) {
    const uint8_t* p = texture.at(px, py);
    sum += weight * Vec4f(linear[p[0]], linear[p[1]], linear[p[2]], static_cast<float>(p[3]) / 255.0f);
  };
  add(x0, y0, (1 - fx) * (1 - fy));
  add(x1, y0, fx * (1 - fy));
  add(x0, y1, (1 - fx) * fy);
  add(x1, y1, fx * fy);
  return sum;
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
bool Scene::intersect(const Ray&, Hit&) const {
  return false;
}
bool Scene::occluded(const Vec3f&, const Vec3f&, float) const {
  return false;
}
bool Scene::shade(uint32_t, float, float, const Vec3f&, Hit&) const {
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
  for (const auto& material : mesh_.materials) has_cutouts_ |= material.opacity < 0.5f;
  for (const auto& texture : mesh_.textures)
    for (size_t i = 3; i < texture.pixels.size() && !has_cutouts_; i += 4)
      has_cutouts_ = texture.pixels[i] < 128;

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

bool Scene::shade(uint32_t face, float u, float v, const Vec3f& direction, Hit& hit) const {
  const auto& corner = mesh_.faces[face];
  const float w = 1.0f - u - v;
  const auto blend = [&](const auto& values) {
    return (w * values[corner[0]] + u * values[corner[1]] + v * values[corner[2]]).eval();
  };
  const size_t index = mesh_.face_material.empty() ? 0 : mesh_.face_material[face];
  const io::Material& material = mesh_.materials[std::min(index, mesh_.materials.size() - 1)];
  Vec3f base = material.base_colour;
  float opacity = material.opacity;
  if (material.texture >= 0 && !mesh_.uvs.empty()) {
    const Vec4f texel = lookup(mesh_.textures[static_cast<size_t>(material.texture)], blend(mesh_.uvs));
    base = base.cwiseProduct(texel.head<3>());
    opacity *= texel.w();
  } else if (!mesh_.colours.empty()) {
    const Vec3f c = blend(mesh_.colours);
    base =
        base.cwiseProduct(Vec3f(linear_from_srgb(c.x()), linear_from_srgb(c.y()), linear_from_srgb(c.z())));
  }
  if (opacity < 0.5f) return false;

  const Vec3f &a = mesh_.positions[corner[0]], &b = mesh_.positions[corner[1]],
              &c = mesh_.positions[corner[2]];
  hit.point = w * a + u * b + v * c;
  hit.geometric_normal = (b - a).cross(c - a).normalized();
  hit.shading_normal = hit.geometric_normal;
  if (!mesh_.normals.empty()) {
    const Vec3f n = blend(mesh_.normals);
    if (n.squaredNorm() > 1e-12f) hit.shading_normal = n.normalized();
  }
  if (hit.geometric_normal.dot(direction) > 0) hit.geometric_normal = -hit.geometric_normal;
  if (hit.shading_normal.dot(hit.geometric_normal) < 0) hit.shading_normal = -hit.shading_normal;
  // A shading normal that looks away from the viewer is bent back to the silhouette.
  const float facing = -hit.shading_normal.dot(direction);
  if (facing < 0.02f) hit.shading_normal = (hit.shading_normal - (0.02f - facing) * direction).normalized();
  hit.base_colour = base.cwiseMax(0.0f).cwiseMin(1.0f);
  hit.emission = material.emission;
  hit.metallic = material.metallic;
  hit.roughness = material.roughness;
  return true;
}

bool Scene::intersect(const Ray& ray, Hit& hit) const {
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
    hit.t = query.ray.tfar;
    if (shade(query.hit.primID, query.hit.u, query.hit.v, ray.direction, hit)) return true;
    nearest = std::nextafter(hit.t * 1.00001f, std::numeric_limits<float>::infinity());
  }
  return false;
}

bool Scene::occluded(const Vec3f& origin, const Vec3f& direction, float distance) const {
  if (has_cutouts_) {
    Hit hit;
    return intersect({origin, direction}, hit) && hit.t < distance;
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
