#include "t3d/data/random_cameras.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/math/camera.h"

namespace t3d::data {
namespace {

constexpr float kPi = 3.14159265358979323846f;
constexpr uint64_t kCameraStream = 0xca3e7a;
constexpr float kNear = 0.01f, kFar = 100;
constexpr RayForm kMultiviewRays{true, 0.1f, 1000};

float radians(float degrees) {
  return degrees * kPi / 180;
}

float between(const std::array<float, 2>& range, float u) {
  return range[0] + (range[1] - range[0]) * u;
}

Vec3f normal_vector(Rng& rng) {
  const float x = rng.normal(), y = rng.normal();
  return {x, y, rng.normal()};
}

/// Draws of one step: a function of the seed and the step.
Rng stream_of(const CameraContext& context, int64_t step) {
  return Rng(context.seed, (kCameraStream << 40) ^ static_cast<uint64_t>(step));
}

/// OpenGL's projection with the y axis turned over, so that row 0 of a raster is the picture's top.
Eigen::Matrix4f projection(float fovy, float aspect, float near_plane, float far_plane) {
  Eigen::Matrix4f p = Eigen::Matrix4f::Zero();
  const float t = std::tan(fovy / 2);
  p(0, 0) = 1 / (t * aspect);
  p(1, 1) = -1 / t;
  p(2, 2) = -(far_plane + near_plane) / (far_plane - near_plane);
  p(2, 3) = -2 * far_plane * near_plane / (far_plane - near_plane);
  p(3, 2) = -1;
  return p;
}

Eigen::Matrix4f camera_to_world(const ViewPlan& plan) {
  const Vec3f looking = (plan.center - plan.position).normalized();
  const Vec3f right = looking.cross(plan.up).normalized();
  const Vec3f up = right.cross(looking).normalized();
  Eigen::Matrix4f m = Eigen::Matrix4f::Identity();
  m.block<3, 1>(0, 0) = right;
  m.block<3, 1>(0, 1) = up;
  m.block<3, 1>(0, 2) = -looking;
  m.block<3, 1>(0, 3) = plan.position;
  return m;
}

void put(const Eigen::Matrix4f& m, float* rows) {
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) rows[4 * r + c] = m(r, c);
}

int64_t entry_at(const IntOrList& list, size_t index) {
  return list.values[std::min(index, list.values.size() - 1)];
}

void check_range(const std::array<float, 2>& range, const char* name) {
  if (range[0] > range[1])
    throw UserError(cat("data.", name, " is [", range[0], ", ", range[1],
                        "], expected the smaller number first. Turn it around."));
}

}  // namespace

void check(const RandomCameraConfig& c) {
  const size_t n = c.resolution_milestones.size();
  for (const auto& [list, name] : {std::pair<const IntOrList*, const char*>{&c.height, "height"},
                                   {&c.width, "width"},
                                   {&c.batch_size, "batch_size"}})
    if (list->is_list && list->values.size() != n + 1)
      throw UserError(cat("data.", name, " has ", list->values.size(), " entries and resolution_milestones ",
                          n, ", expected one milestone less than entries."));
  if (!std::is_sorted(c.resolution_milestones.begin(), c.resolution_milestones.end()))
    throw UserError("data.resolution_milestones must grow. Sort them.");
  check_range(c.elevation_range, "elevation_range");
  check_range(c.azimuth_range, "azimuth_range");
  check_range(c.camera_distance_range, "camera_distance_range");
  check_range(c.fovy_range, "fovy_range");
  check_range(c.light_distance_range, "light_distance_range");
}

CameraStage stage_at(const RandomCameraConfig& c, int64_t step) {
  size_t index = 0;
  while (index < c.resolution_milestones.size() && step >= c.resolution_milestones[index]) ++index;
  CameraStage s{entry_at(c.height, index), entry_at(c.width, index), entry_at(c.batch_size, index),
                c.elevation_range, c.azimuth_range};
  if (c.progressive_until == 0) return s;
  const float r = std::min(1.f, static_cast<float>(step) / static_cast<float>(c.progressive_until + 1));
  for (int end = 0; end < 2; ++end) {
    s.elevation_range[end] = (1 - r) * c.eval_elevation_deg + r * c.elevation_range[end];
    s.azimuth_range[end] = r * c.azimuth_range[end];
  }
  return s;
}

float draw_elevation(const std::array<float, 2>& range, bool uniform_in_angle, Rng& rng) {
  const float u = rng.uniform();
  if (uniform_in_angle) return between(range, u);
  const float low = std::sin(radians(range[0])), high = std::sin(radians(range[1]));
  return std::asin(std::clamp(low + (high - low) * u, -1.f, 1.f)) * 180 / kPi;
}

Vec3f draw_light(const RandomCameraConfig& c, const Vec3f& position, Rng& rng) {
  const float distance = between(c.light_distance_range, rng.uniform());
  if (c.light_sample_strategy == "dreamfusion")
    return distance * (position + c.light_position_perturb * normal_vector(rng)).normalized();
  const Vec3f z = position.normalized();
  const Vec3f x = Vec3f(z.y(), -z.x(), 0).normalized(), y = z.cross(x).normalized();
  const float azimuth = rng.uniform(-kPi, kPi), elevation = rng.uniform(kPi / 6, kPi / 2);
  return distance * (std::cos(elevation) * std::cos(azimuth) * x +
                     std::cos(elevation) * std::sin(azimuth) * y + std::sin(elevation) * z);
}

void perturb(const RandomCameraConfig& c, ViewPlan& plan, Rng& rng) {
  for (int axis = 0; axis < 3; ++axis) plan.position[axis] += (2 * rng.uniform() - 1) * c.camera_perturb;
  plan.center = c.center_perturb * normal_vector(rng);
  plan.up = Vec3f::UnitZ() + c.up_perturb * normal_vector(rng);
}

ViewPlan circle_plan(const RandomCameraConfig& c, int64_t index, int64_t n, bool closed) {
  ViewPlan plan;
  const int64_t parts = closed ? std::max<int64_t>(n - 1, 1) : n;
  plan.elevation_deg = c.eval_elevation_deg;
  plan.azimuth_deg = 360.f * static_cast<float>(index) / static_cast<float>(parts);
  plan.distance = c.eval_camera_distance;
  plan.fovy = radians(c.eval_fovy_deg);
  plan.position = spherical_position(plan.azimuth_deg, plan.elevation_deg, plan.distance);
  plan.light = plan.position;
  return plan;
}

CameraBatch make_batch(const std::vector<ViewPlan>& plans, int64_t height, int64_t width, bool normalize,
                       float near_plane, float far_plane, c10::Device device) {
  const auto B = static_cast<int64_t>(plans.size());
  CameraBatch out;
  out.height = height, out.width = width;
  out.has_unit_rays = normalize;
  const auto matrices = [B] { return at::empty({B, 4, 4}, at::kFloat); };
  const auto vectors = [B] { return at::empty({B, 3}, at::kFloat); };
  const auto numbers = [B] { return at::empty({B}, at::kFloat); };
  out.c2w = matrices(), out.proj_mtx = matrices(), out.mvp_mtx = matrices();
  out.camera_positions = vectors(), out.light_positions = vectors();
  out.elevation = numbers(), out.azimuth = numbers(), out.camera_distances = numbers();
  out.fovy = numbers(), out.focal = numbers();
  const float aspect = static_cast<float>(width) / static_cast<float>(height);
  for (int64_t b = 0; b < B; ++b) {
    const ViewPlan& plan = plans[static_cast<size_t>(b)];
    const Eigen::Matrix4f c2w = camera_to_world(plan),
                          p = projection(plan.fovy, aspect, near_plane, far_plane);
    Eigen::Matrix4f w2c = Eigen::Matrix4f::Identity();
    w2c.block<3, 3>(0, 0) = c2w.block<3, 3>(0, 0).transpose();
    w2c.block<3, 1>(0, 3) = -c2w.block<3, 3>(0, 0).transpose() * plan.position;
    put(c2w, out.c2w.data_ptr<float>() + 16 * b);
    put(p, out.proj_mtx.data_ptr<float>() + 16 * b);
    put(p * w2c, out.mvp_mtx.data_ptr<float>() + 16 * b);
    for (int axis = 0; axis < 3; ++axis) {
      out.camera_positions.data_ptr<float>()[3 * b + axis] = plan.position[axis];
      out.light_positions.data_ptr<float>()[3 * b + axis] = plan.light[axis];
    }
    out.elevation.data_ptr<float>()[b] = plan.elevation_deg;
    out.azimuth.data_ptr<float>()[b] = plan.azimuth_deg;
    out.camera_distances.data_ptr<float>()[b] = plan.distance;
    out.fovy.data_ptr<float>()[b] = plan.fovy;
    out.focal.data_ptr<float>()[b] = 0.5f * static_cast<float>(height) / std::tan(plan.fovy / 2);
  }
  for (at::Tensor* t : {&out.c2w, &out.proj_mtx, &out.mvp_mtx, &out.camera_positions, &out.light_positions,
                        &out.elevation, &out.azimuth, &out.camera_distances, &out.fovy, &out.focal})
    *t = t->to(device);
  return out;
}

template <class C>
DrawnCameras<C>::DrawnCameras(const C& config, const CameraContext& context, const RayForm& rays)
    : config_(config), context_(context), stage_(stage_at(config, 0)), rays_(rays) {
  check(config);
}

template <class C>
void DrawnCameras<C>::update_step(int64_t step) {
  stage_ = stage_at(config_, step);
}

template <class C>
CameraBatch DrawnCameras<C>::batch_of(const std::vector<ViewPlan>& plans, int64_t height,
                                      int64_t width) const {
  return make_batch(plans, height, width, rays_.normalize, rays_.near, rays_.far, context_.device);
}

template <class C>
CameraBatch DrawnCameras<C>::view(int64_t index, const ViewPlan& plan, int64_t height, int64_t width) const {
  CameraBatch batch = batch_of({plan}, height, width);
  batch.index = index;
  return batch;
}

template <class C>
CameraBatch DrawnCameras<C>::val_view(int64_t index) const {
  return circle_view(index, config_.n_val_views, config_.eval_height, config_.eval_width);
}

template <class C>
CameraBatch DrawnCameras<C>::test_view(int64_t index) const {
  return view(index, circle_plan(config_, index, config_.n_test_views, true), config_.eval_height,
              config_.eval_width);
}

template <class C>
CameraBatch DrawnCameras<C>::circle_view(int64_t index, int64_t n, int64_t height, int64_t width) const {
  return view(index, circle_plan(config_, index, n, false), height, width);
}

template class DrawnCameras<RandomCameraConfig>;
template class DrawnCameras<MultiviewCameraConfig>;

RandomCameras::RandomCameras(const Config& config, const CameraContext& context)
    : DrawnCameras(config, context, {config.rays_d_normalize, kNear, kFar}) {}

CameraBatch RandomCameras::train_batch(int64_t step) const {
  Rng rng = stream_of(context_, step);
  const bool uniform_in_angle = rng.uniform() < 0.5f;
  std::vector<ViewPlan> plans(static_cast<size_t>(stage_.batch_size));
  for (size_t b = 0; b < plans.size(); ++b) {
    ViewPlan& plan = plans[b];
    plan.elevation_deg = draw_elevation(stage_.elevation_range, uniform_in_angle, rng);
    const float u = rng.uniform();
    plan.azimuth_deg = between(
        stage_.azimuth_range,
        config_.batch_uniform_azimuth ? (u + static_cast<float>(b)) / static_cast<float>(plans.size()) : u);
    plan.distance = between(config_.camera_distance_range, rng.uniform());
    plan.fovy = radians(between(config_.fovy_range, rng.uniform()));
    plan.position = spherical_position(plan.azimuth_deg, plan.elevation_deg, plan.distance);
    perturb(config_, plan, rng);
    plan.light = draw_light(config_, plan.position, rng);
  }
  return batch_of(plans, stage_.height, stage_.width);
}

MultiviewCameras::MultiviewCameras(const Config& config, const CameraContext& context)
    : DrawnCameras(config, context, kMultiviewRays) {
  check_range(config.zoom_range, "zoom_range");
  for (const int64_t n : config.batch_size.values)
    if (n % config.n_view != 0)
      throw UserError(cat("data.batch_size is ", n, ", expected a multiple of n_view (", config.n_view,
                          "): every object is seen by all of its views."));
}

CameraBatch MultiviewCameras::train_batch(int64_t step) const {
  Rng rng = stream_of(context_, step);
  const bool uniform_in_angle = rng.uniform() < 0.5f;
  std::vector<ViewPlan> plans;
  for (int64_t object = 0; object < stage_.batch_size / config_.n_view; ++object) {
    ViewPlan shared;
    shared.elevation_deg = draw_elevation(stage_.elevation_range, uniform_in_angle, rng);
    const float first = rng.uniform(), fovy = radians(between(config_.fovy_range, rng.uniform()));
    shared.distance = between(config_.camera_distance_range, rng.uniform());
    if (config_.relative_radius) shared.distance /= std::tan(fovy / 2);
    shared.fovy = std::min(fovy * between(config_.zoom_range, rng.uniform()), radians(179));
    ViewPlan moves;
    moves.position.setZero();
    perturb(config_, moves, rng);
    const Rng light_draws = rng;
    for (int64_t k = 0; k < config_.n_view; ++k) {
      ViewPlan plan = shared;
      plan.azimuth_deg =
          between(stage_.azimuth_range, (first + static_cast<float>(k)) / static_cast<float>(config_.n_view));
      plan.position =
          spherical_position(plan.azimuth_deg, plan.elevation_deg, plan.distance) + moves.position;
      plan.center = moves.center, plan.up = moves.up;
      rng = light_draws;  // the same numbers for every view of an object
      plan.light = draw_light(config_, plan.position, rng);
      plans.push_back(plan);
    }
  }
  CameraBatch batch = batch_of(plans, stage_.height, stage_.width);
  batch.n_view = config_.n_view;
  return batch;
}

CameraDataRegistry& camera_data() {
  using R = CameraDataRegistry;
  static R table("data", "where views come from (data_type)",
                 {R::entry<RandomCameras>("random-camera-datamodule", "single random views"),
                  R::entry<MultiviewCameras>("mvdream-random-multiview-camera-datamodule",
                                             "random groups of views of one object")});
  return table;
}

}  // namespace t3d::data
