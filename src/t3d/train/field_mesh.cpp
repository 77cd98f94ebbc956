#include "t3d/train/field_mesh.h"

#include <ATen/ATen.h>

#include <cmath>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
#include "t3d/export/export_field.h"
#include "t3d/io/write_mesh.h"
#include "t3d/ops/occupancy_layout.h"

namespace t3d::train {
namespace {

constexpr int kBlurs = 2;  // fields that learned from pictures are grainy at the scale of single cells

/// Densities of points; 0 without asking the network where the occupancy grid says empty.
class OccupiedDensity {
 public:
  explicit OccupiedDensity(NgpStepper& stepper) : stepper_(stepper), state_(stepper.save()) {}

  void operator()(size_t n, const Vec3f* points, float* values) {
    const auto* bits = state_.bits.data_ptr<uint8_t>();
    points_.clear();
    places_.clear();
    for (size_t i = 0; i < n; ++i) {
      values[i] = 0;
      const uint32_t cell = ops::cell_number(points[i].x(), points[i].y(), points[i].z(), 0);
      if ((bits[cell >> 3] & (1u << (cell & 7u))) == 0) continue;
      points_.push_back(points[i]);
      places_.push_back(i);
    }
    if (places_.empty()) return;
    sigma_.resize(places_.size());
    stepper_.density(points_.data()->data(), static_cast<int64_t>(places_.size()), sigma_.data());
    for (size_t i = 0; i < places_.size(); ++i) values[places_[i]] = sigma_[i];
  }

 private:
  NgpStepper& stepper_;
  field::NgpState state_;
  std::vector<Vec3f> points_;
  std::vector<float> sigma_;
  std::vector<size_t> places_;
};

void move_to_world(io::Mesh& mesh, const Mat4f& scene_from_world) {
  const Mat4f world_from_scene = scene_from_world.inverse();
  const Mat3f linear = world_from_scene.block<3, 3>(0, 0);
  const Vec3f shift = world_from_scene.block<3, 1>(0, 3);
  for (Vec3f& p : mesh.positions) p = linear * p + shift;
  for (Vec3f& n : mesh.normals) n = (linear * n).normalized();
}

}  // namespace

bool write_field_mesh(const std::string& folder, const data::PosedImages& images, NgpStepper& stepper,
                      int resolution) {
  export_::FieldSampler sampler;
  sampler.density = [density = std::make_shared<OccupiedDensity>(stepper)](
                        size_t n, const Vec3f* points, float* values) { (*density)(n, points, values); };
  // Colours as seen from straight outside.
  sampler.colour = [&stepper](size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* colours) {
    std::vector<Vec3f> directions(n);
    for (size_t i = 0; i < n; ++i)
      directions[i] = normals[i].squaredNorm() > 0 ? Vec3f(-normals[i].normalized()) : Vec3f(0, 0, -1);
    stepper.colour(points->data(), directions.data()->data(), static_cast<int64_t>(n), colours->data());
  };
  export_::ExportOptions options;
  options.surface.box = {Vec3f::Constant(-0.5f), Vec3f::Constant(0.5f)};
  options.surface.resolution = resolution;
  options.surface.n_blurs = kBlurs;
  options.surface.n_faces = 100000;
  options.texture.size = 1024;
  export_::MeshExport made;
  try {
    made = export_::export_field(sampler, options);
  } catch (const UserError&) {
    log::warning("the field has no surface yet, so there is no mesh; train longer.");
    return false;
  }
  for (io::Mesh* mesh : {&made.coloured, &made.textured}) move_to_world(*mesh, images.scene_from_world);
  export_::write_textured(made.textured, folder, "mesh", options.texture);
  io::write_mesh(folder + "/mesh.ply", made.coloured);
  log::info(cat("mesh: ", counted(static_cast<int64_t>(made.textured.faces.size()), "triangle"), ", ",
                counted(made.atlas.n_charts, "chart")));
  return true;
}

}  // namespace t3d::train
