#include "t3d/train/field_mesh.h"

#include <ATen/ATen.h>

#include <cmath>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/sentence.h"
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

}  // namespace

std::vector<std::string> write_field_mesh(const std::string& folder, const data::PosedImages& images,
                                          NgpStepper& stepper, export_::ExportOptions options) {
  export_::MeshSource source;
  source.field.density = [density = std::make_shared<OccupiedDensity>(stepper)](
                             size_t n, const Vec3f* points, float* values) { (*density)(n, points, values); };
  // Colours as seen from straight outside.
  source.maps =
      export_::albedo_alone([&stepper](size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* colours) {
        std::vector<Vec3f> directions(n);
        for (size_t i = 0; i < n; ++i)
          directions[i] = normals[i].squaredNorm() > 0 ? Vec3f(-normals[i].normalized()) : Vec3f(0, 0, -1);
        stepper.colour(points->data(), directions.data()->data(), static_cast<int64_t>(n), colours->data());
      });
  source.world_from_source = images.scene_from_world.inverse();
  options.surface.box = {Vec3f::Constant(-0.5f), Vec3f::Constant(0.5f)};
  options.surface.n_blurs = kBlurs;
  export_::MeshExport made;
  try {
    made = export_::make_meshes(source, options);
  } catch (const UserError&) {
    log::warning("the field has no surface yet, so there is no mesh; train longer.");
    return {};
  }
  const export_::WrittenMesh written = export_::write_meshes(made, folder, options);
  log::info(cat("mesh: ", counted(static_cast<int64_t>(written.n_faces), "triangle"),
                written.n_charts > 0 ? ", " + counted(written.n_charts, "chart") : ""));
  return written.paths;
}

}  // namespace t3d::train
