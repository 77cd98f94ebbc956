#include "t3d/train/field_mesh.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/log.h"
#include "t3d/core/text.h"
#include "t3d/export/density_threshold.h"
#include "t3d/export/marching_cubes.h"
#include "t3d/io/write_mesh.h"
#include "t3d/ops/occupancy_layout.h"

namespace t3d::train {
namespace {

using export_::SampleGrid;

constexpr int kBlurPasses = 2;
constexpr float kHighestCut = 0.1f;  // opacity of a cell
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

/// (1 2 1)/4 along the axis whose neighbours are `step` apart, in place; the border is left alone.
void blur_along(std::vector<float>& values, int64_t n, int64_t step) {
  const int64_t a = step == 1 ? n : 1, b = step == n * n ? n : n * n;  // the other two axes
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < n * n; ++row) {
    float* line = values.data() + (row % n) * a + (row / n) * b;
    float before = line[0];
    for (int64_t i = 1; i + 1 < n; ++i) {
      const float here = line[i * step];
      line[i * step] = 0.25f * (before + line[(i + 1) * step]) + 0.5f * here;
      before = here;
    }
  }
}

/// The field on a grid, as the density whose opacity over one cell is that of the field, blurred. Trained
/// fields are grainy at the scale of single cells, which rays average out and a surface would show.
std::vector<float> sample_smoothed(NgpStepper& stepper, const SampleGrid& grid) {
  const auto n = static_cast<int64_t>(grid.nx);
  const float cell = grid.spacing.x();
  std::vector<float> values(static_cast<size_t>(n * n * n));
  DensitySlices slices(stepper, grid);
  for (int64_t k = 0; k < n; ++k) slices(static_cast<int>(k), values.data() + k * n * n);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n * n * n; ++i) values[i] = -std::expm1(-values[i] * cell);
  for (int pass = 0; pass < kBlurPasses; ++pass)
    for (const int64_t step : {int64_t{1}, n, n * n}) blur_along(values, n, step);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n * n * n; ++i) values[i] = -std::log1p(-std::min(values[i], 0.9999f)) / cell;
  return values;
}

float find_threshold(const std::vector<float>& values, float cell_size) {
  export_::DensityThreshold threshold(cell_size);
  threshold.add(values.data(), values.size());
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
  const std::vector<float> values = sample_smoothed(stepper, grid);
  // A soft surface is opaque over several cells, each of which is not: a cut above this opens holes in it.
  options.threshold =
      std::min(find_threshold(values, grid.spacing.x()), -std::log1p(-kHighestCut) / grid.spacing.x());
  const size_t plane = static_cast<size_t>(grid.nx) * static_cast<size_t>(grid.ny);
  const auto slice = [&](int k, float* to) {
    std::copy_n(values.data() + static_cast<size_t>(k) * plane, plane, to);
  };
  // Colours as seen from straight outside.
  options.colour = [&stepper](size_t n, const Vec3f* positions, const Vec3f* normals, Vec3f* colours) {
    std::vector<Vec3f> directions(n);
    for (size_t i = 0; i < n; ++i)
      directions[i] = normals[i].squaredNorm() > 0 ? Vec3f(-normals[i].normalized()) : Vec3f(0, 0, -1);
    stepper.colour(positions->data(), directions.data()->data(), static_cast<int64_t>(n), colours->data());
  };
  io::Mesh mesh = export_::marching_cubes(grid, slice, options);
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
