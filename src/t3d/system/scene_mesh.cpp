#include "t3d/system/scene_mesh.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "t3d/export/density_threshold.h"
#include "t3d/export/marching_cubes.h"

namespace t3d::system {
namespace {

using export_::SampleGrid;

constexpr int64_t kChunk = 1 << 17;
constexpr float kHighestCut = 0.25f;  // opacity of a cell
constexpr float kEmpty = 1e-3f;       // density
constexpr float kMargin = 0.05f;      // of the tight box, a side

/// (1 2 1)/4 along each axis, in place: what rays average out, a surface would show as grain.
at::Tensor blurred(const at::Tensor& values) {
  auto v = values;
  for (int64_t axis = 0; axis < 3; ++axis) {
    const int64_t n = v.size(axis);
    auto out = v.clone();
    out.narrow(axis, 1, n - 2)
        .copy_(0.5 * v.narrow(axis, 1, n - 2) + 0.25 * (v.narrow(axis, 0, n - 2) + v.narrow(axis, 2, n - 2)));
    v = out;
  }
  return v;
}

class Field {
 public:
  explicit Field(const System& system) : system_(system) {}

  /// The field on a grid, [nz,ny,nx] on the CPU: the density whose opacity over one cell is the field's.
  at::Tensor sample(const SampleGrid& grid) const {
    const auto line = [&](int n, int axis) {
      return grid.origin[axis] + grid.spacing[axis] * at::arange(n, at::kFloat);
    };
    const auto x = line(grid.nx, 0), y = line(grid.ny, 1), z = line(grid.nz, 2);
    std::vector<at::Tensor> planes;
    const int64_t at_once = std::max<int64_t>(1, kChunk / (int64_t{grid.nx} * grid.ny));
    for (int64_t k = 0; k < grid.nz; k += at_once) {
      const auto mesh = at::meshgrid({z.slice(0, k, k + at_once), y, x}, "ij");
      const auto points = at::stack({mesh[2], mesh[1], mesh[0]}, -1).reshape({-1, 3});
      const auto density = system_.geometry().density(points.to(system_.context().device));
      planes.push_back(density.to(at::kCPU).reshape({-1, grid.ny, grid.nx}));
    }
    const float cell = grid.spacing.maxCoeff();
    const auto opacity = blurred(-at::expm1(-at::nan_to_num(at::cat(planes)) * cell));
    return (-at::log1p(-opacity.clamp_max(0.9999f)) / cell).contiguous();
  }

  void colour(size_t n, const Vec3f* positions, Vec3f* colours) const {
    const c10::NoGradGuard no_grad;
    for (size_t first = 0; first < n; first += kChunk) {
      const auto count = static_cast<int64_t>(std::min<size_t>(kChunk, n - first));
      const auto points = at::empty({count, 3}, at::kFloat);
      std::copy_n(positions[first].data(), 3 * count, points.data_ptr<float>());
      const auto features = system_.geometry().features(points.to(system_.context().device));
      const auto rgb = system_.material().albedo(features).to(at::kCPU, at::kFloat).contiguous();
      std::copy_n(rgb.data_ptr<float>(), 3 * count, colours[first].data());
    }
  }

 private:
  const System& system_;
};

float threshold_of(const at::Tensor& values, float cell) {
  export_::DensityThreshold threshold(cell);
  threshold.add(values.data_ptr<float>(), static_cast<size_t>(values.numel()));
  // A soft surface is opaque over several cells, each of which is not: a cut above this opens holes in it.
  // And where all is thin, half of the most there is.
  return std::min({threshold.sigma(), -std::log1p(-kHighestCut) / cell, 0.5f * values.max().item<float>()});
}

io::Mesh cut(const Field& field, const at::Tensor& values, const SampleGrid& grid, float threshold,
             bool with_colours) {
  export_::MarchingCubesOptions options;
  options.threshold = threshold;
  if (with_colours)
    options.colour = [&field](size_t n, const Vec3f* positions, const Vec3f*, Vec3f* colours) {
      field.colour(n, positions, colours);
    };
  const size_t plane = static_cast<size_t>(grid.nx) * static_cast<size_t>(grid.ny);
  return export_::marching_cubes(
      grid,
      [&](int k, float* to) {
        std::copy_n(values.data_ptr<float>() + static_cast<size_t>(k) * plane, plane, to);
      },
      options);
}

}  // namespace

io::Mesh scene_mesh(const System& system, const SceneMeshOptions& options) {
  const c10::NoGradGuard no_grad;
  const Field field(system);
  const float r = system.geometry().radius();
  const Box3f whole{Vec3f::Constant(-r), Vec3f::Constant(r)};
  const SampleGrid coarse = SampleGrid::over_box(whole, options.resolution / 2);
  const at::Tensor values = field.sample(coarse);
  const float threshold = threshold_of(values, coarse.spacing.maxCoeff());
  io::Mesh first;
  if (threshold > kEmpty) first = cut(field, values, coarse, threshold, false);
  export_::remove_small_parts(first, options.small_part);
  if (first.faces.empty())
    throw UserError(
        "the field is empty: nowhere is it dense enough for a surface. Train longer, lower "
        "system.loss.lambda_sparsity, or raise system.geometry.density_bias.");
  Box3f tight = first.bounds();
  const Vec3f margin = kMargin * tight.size() + 2 * coarse.spacing;
  tight.min = (tight.min - margin).cwiseMax(whole.min);
  tight.max = (tight.max + margin).cwiseMin(whole.max);
  const SampleGrid fine = SampleGrid::over_box(tight, options.resolution);
  io::Mesh mesh = cut(field, field.sample(fine), fine, threshold, true);
  export_::remove_small_parts(mesh, options.small_part);
  if (mesh.faces.empty())
    throw UserError("the field's surface is lost at the finer resolution. Train longer.");
  return mesh;
}

}  // namespace t3d::system
