#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/rng.h"
#include "t3d/data/camera_data.h"
#include "t3d/math/vec.h"

namespace t3d::data {

/// An int, or a list of ints that `resolution_milestones` walk through.
struct IntOrList {
  std::vector<int64_t> values;
  bool is_list = false;
  IntOrList(int64_t value = 0) : values{value} {}
};

/// The keys that both random camera sets have, threestudio section 3.1.1.
struct RandomCameraConfig {
  IntOrList height = 64, width = 64, batch_size = 1;
  std::vector<int64_t> resolution_milestones;
  int64_t eval_height = 512, eval_width = 512, eval_batch_size = 1, n_val_views = 1, n_test_views = 120;
  std::array<float, 2> elevation_range = {-10, 90}, azimuth_range = {-180, 180};
  std::array<float, 2> camera_distance_range = {1, 1.5f}, fovy_range = {40, 70};
  float camera_perturb = 0.1f, center_perturb = 0.2f, up_perturb = 0.02f, light_position_perturb = 1;
  std::array<float, 2> light_distance_range = {0.8f, 1.5f};
  float eval_elevation_deg = 15, eval_camera_distance = 1.5f, eval_fovy_deg = 70;
  std::string light_sample_strategy = "dreamfusion";
  bool batch_uniform_azimuth = true, rays_d_normalize = true;
  int64_t progressive_until = 0;

  template <class V>
  void visit(V& v) {
    using namespace config;
    v("height", height, in_range(1, 8192), "pixels of training views; a list changes at the milestones");
    v("width", width, in_range(1, 8192), "likewise");
    v("batch_size", batch_size, in_range(1, 4096), "views of a step; a list changes at the milestones");
    v("resolution_milestones", resolution_milestones, non_negative(),
      "steps at which the next entry of the lists comes into force");
    v("eval_height", eval_height, in_range(1, 8192), "pixels of evaluation views");
    v("eval_width", eval_width, in_range(1, 8192), "likewise");
    v("eval_batch_size", eval_batch_size, harmless("evaluation takes views one by one"),
      "evaluation views at once");
    v("n_val_views", n_val_views, in_range(1, 10000), "views of a validation");
    v("n_test_views", n_test_views, in_range(1, 10000), "views of the test, the frames of its film");
    v("elevation_range", elevation_range, in_range(-90, 90), "degrees");
    v("azimuth_range", azimuth_range, any(), "degrees; 0 is +x, growing towards +y");
    v("camera_distance_range", camera_distance_range, positive(), "from the origin");
    v("fovy_range", fovy_range, in_range(0.01, 179), "vertical field of view, degrees");
    v("camera_perturb", camera_perturb, non_negative(), "half width of a uniform offset of the position");
    v("center_perturb", center_perturb, non_negative(), "deviation of the point looked at");
    v("up_perturb", up_perturb, non_negative(), "deviation of the up vector");
    v("light_position_perturb", light_position_perturb, non_negative(), "deviation, dreamfusion's light");
    v("light_distance_range", light_distance_range, positive(), "of the point light from the origin");
    v("eval_elevation_deg", eval_elevation_deg, in_range(-90, 90), "of the evaluation circle");
    v("eval_camera_distance", eval_camera_distance, positive(), "likewise");
    v("eval_fovy_deg", eval_fovy_deg, in_range(0.01, 179), "likewise");
    v("light_sample_strategy", light_sample_strategy, one_of({"dreamfusion", "magic3d"}),
      "how the light's place is drawn");
    v("batch_uniform_azimuth", batch_uniform_azimuth, any(), "one azimuth of each nth part of the range");
    v("progressive_until", progressive_until, non_negative(),
      "step until which elevation and azimuth grow from the evaluation view to their ranges");
    v("rays_d_normalize", rays_d_normalize, any(), "ray directions have length one");
  }
};

/// What one view is made of.
struct ViewPlan {
  float elevation_deg = 0, azimuth_deg = 0, distance = 1, fovy = 1;
  Vec3f position = Vec3f::UnitX(), center = Vec3f::Zero(), up = Vec3f::UnitZ(), light = Vec3f::UnitX();
};

/// The batch of some plans. near and far are those of the projection.
CameraBatch make_batch(const std::vector<ViewPlan>& plans, int64_t height, int64_t width, bool normalize,
                       float near_plane, float far_plane, c10::Device device);

/// View `index` of n on a circle: azimuth index / n of 360 degrees, or of n - 1 with `closed`, where the last
/// view is the first one again. The light stands at the camera.
ViewPlan circle_plan(const RandomCameraConfig& config, int64_t index, int64_t n, bool closed);

/// One place of the lists and ranges that are in force at a step.
struct CameraStage {
  int64_t height, width, batch_size;
  std::array<float, 2> elevation_range, azimuth_range;
};
CameraStage stage_at(const RandomCameraConfig& config, int64_t step);
/// Throws UserError for lists that do not fit each other, and ranges that are turned around.
void check(const RandomCameraConfig& config);

/// Elevation in degrees: with the coin at heads uniform in the angle, else uniform on the sphere.
float draw_elevation(const std::array<float, 2>& range_deg, bool uniform_in_angle, Rng& rng);
/// Place of the light for a camera at `position`, by light_sample_strategy.
Vec3f draw_light(const RandomCameraConfig& config, const Vec3f& position, Rng& rng);
/// Draws the perturbations of position, centre and up vector, and then the light.
void perturb(const RandomCameraConfig& config, ViewPlan& plan, Rng& rng);

/// How a data type gives its rays.
struct RayForm {
  bool normalize;   ///< unit directions
  float near, far;  ///< planes of the projection
};

/// What both data types share: the stage that the training has reached, and the views of evaluation.
template <class CameraConfig>
class DrawnCameras : public CameraData {
 public:
  using Config = CameraConfig;

  void update_step(int64_t step) override;
  int64_t n_val_views() const override { return config_.n_val_views; }
  int64_t n_test_views() const override { return config_.n_test_views; }
  CameraBatch val_view(int64_t index) const override;
  CameraBatch test_view(int64_t index) const override;
  CameraBatch circle_view(int64_t index, int64_t n, int64_t height, int64_t width) const override;

 protected:
  DrawnCameras(const Config& config, const CameraContext& context, const RayForm& rays);
  CameraBatch batch_of(const std::vector<ViewPlan>& plans, int64_t height, int64_t width) const;

  Config config_;
  CameraContext context_;
  CameraStage stage_;
  RayForm rays_;

 private:
  CameraBatch view(int64_t index, const ViewPlan& plan, int64_t height, int64_t width) const;
};

/// threestudio's random-camera-datamodule.
class RandomCameras : public DrawnCameras<RandomCameraConfig> {
 public:
  RandomCameras(const Config& config, const CameraContext& context);
  CameraBatch train_batch(int64_t step) const override;
};

struct MultiviewCameraConfig : RandomCameraConfig {
  bool relative_radius = true;
  int64_t n_view = 1;
  std::array<float, 2> zoom_range = {1, 1};
  template <class V>
  void visit(V& v) {
    using namespace config;
    RandomCameraConfig::visit(v);
    v("relative_radius", relative_radius, any(),
      "the distance is that of the range divided by tan(fov / 2): objects keep their size in the picture");
    v("n_view", n_view, in_range(1, 64), "views of each object; batch_size is a multiple of it");
    v("zoom_range", zoom_range, positive(), "factor of the field of view, once the distance is fixed");
  }
};

/// MVDream's mvdream-random-multiview-camera-datamodule: each object is seen by n_view cameras at even
/// azimuths that share everything else.
class MultiviewCameras : public DrawnCameras<MultiviewCameraConfig> {
 public:
  MultiviewCameras(const Config& config, const CameraContext& context);
  CameraBatch train_batch(int64_t step) const override;
};

}  // namespace t3d::data

namespace t3d::config {

template <>
struct Codec<data::IntOrList> {
  static std::string type() { return "int|list[int]"; }
  static data::IntOrList read(const Node& n, const std::string& path, const Range& range) {
    data::IntOrList out;
    out.is_list = n.is_list();
    out.values = out.is_list ? Codec<std::vector<int64_t>>::read(n, path, range)
                             : std::vector<int64_t>{Codec<int64_t>::read(n, path, range)};
    if (out.values.empty()) reject(n, path, "an int or a list of them");
    return out;
  }
  static Node write(const data::IntOrList& v) {
    return v.is_list ? Codec<std::vector<int64_t>>::write(v.values) : Codec<int64_t>::write(v.values[0]);
  }
};

}  // namespace t3d::config
