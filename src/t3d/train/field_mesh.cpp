#include "t3d/train/field_mesh.h"

#include <ATen/ATen.h>

#include "t3d/core/log.h"
#include "t3d/core/text.h"
#include "t3d/export/density_threshold.h"
#include "t3d/export/marching_cubes.h"
#include "t3d/io/write_mesh.h"
#include "t3d/ops/occupancy_layout.h"

namespace t3d::train {
namespace {

using export_::SampleGrid;

constexpr int kThresholdSide = 96;
constexpr double kSmallPart = 0.02;

/// Densities of one plane of a grid; 0 without asking the network where the occupancy grid says empty.
class DensitySlices {
 public:
  DensitySlices(NgpStepper& stepper, SampleGrid grid)
      : stepper_(stepper), grid_(grid), state_(stepper.save()) {}

  void operator()(int k, float* values) {
    const auto* bits = state_.bits.data_ptr<uint8_t>();
    points_.clear();
    places_.clear();
    for (int j = 0; j < grid_.ny; ++j)
      for (int i = 0; i < grid_.nx; ++i) {
        const int place = j * grid_.nx + i;
        const Vec3f p = grid_.origin + grid_.spacing.cwiseProduct(Vec3f(i, j, k));
        const uint32_t cell = ops::cell_number(p.x(), p.y(), p.z(), 0);
        values[place] = 0;
        if ((bits[cell >> 3] & (1u << (cell & 7u))) == 0) continue;
        points_.insert(points_.end(), {p.x(), p.y(), p.z()});
        places_.push_back(place);
      }
    sigma_.resize(places_.size());
    stepper_.density(points_.data(), static_cast<int64_t>(places_.size()), sigma_.data());
    for (size_t i = 0; i < places_.size(); ++i) values[places_[i]] = sigma_[i];
  }

 private:
  NgpStepper& stepper_;
  SampleGrid grid_;
  field::NgpState state_;
  std::vector<float> points_, sigma_;
  std::vector<int> places_;
};

float find_threshold(NgpStepper& stepper, const Box3f& cube, float cell_size) {
  const SampleGrid coarse = SampleGrid::over_box(cube, kThresholdSide);
  DensitySlices slices(stepper, coarse);
  export_::DensityThreshold threshold(cell_size);
  std::vector<float> values(static_cast<size_t>(coarse.nx) * coarse.ny);
  for (int k = 0; k < coarse.nz; ++k) {
    slices(k, values.data());
    threshold.add(values.data(), values.size());
  }
  return threshold.sigma();
}

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
  const Box3f cube{Vec3f::Constant(-0.5f), Vec3f::Constant(0.5f)};
  const SampleGrid grid = SampleGrid::over_box(cube, resolution);
  export_::MarchingCubesOptions options;
  options.threshold = find_threshold(stepper, cube, grid.spacing.x());
  // Colours as seen from straight outside.
  options.colour = [&stepper](size_t n, const Vec3f* positions, const Vec3f* normals, Vec3f* colours) {
    std::vector<Vec3f> directions(n);
    for (size_t i = 0; i < n; ++i)
      directions[i] = normals[i].squaredNorm() > 0 ? Vec3f(-normals[i].normalized()) : Vec3f(0, 0, -1);
    stepper.colour(positions->data(), directions.data()->data(), static_cast<int64_t>(n), colours->data());
  };
  io::Mesh mesh = export_::marching_cubes(grid, DensitySlices(stepper, grid), options);
  export_::remove_small_parts(mesh, kSmallPart);
  if (mesh.faces.empty()) {
    log::warning("the field has no surface yet, so there is no mesh; train longer.");
    return false;
  }
  move_to_world(mesh, images.scene_from_world);
  for (const char* ending : {".glb", ".obj", ".ply"}) io::write_mesh(folder + "/mesh" + ending, mesh);
  log::info(cat("mesh: ", mesh.faces.size(), " triangles, cut at density ", options.threshold));
  return true;
}

}  // namespace t3d::train
