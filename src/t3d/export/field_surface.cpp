#include "t3d/export/field_surface.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/export/decimate.h"
#include "t3d/export/marching_cubes.h"
#include "t3d/export/mesh_parts.h"
#include "t3d/export/sample_field.h"
#include "t3d/export/seen_surface.h"

namespace t3d::export_ {
namespace {

constexpr float kMargin = 0.05f;  // of the tight box, a side
constexpr int kLeastSamples = 8;
constexpr float kFound = 0.25f;  // of a named threshold: wide cells blur, so matter is looked for below it

/// Cells as cubical as the box allows, `n` samples along its longest side.
SampleGrid cubical_grid(const Box3f& box, int n) {
  const Vec3f size = box.size();
  const float cell = size.maxCoeff() / static_cast<float>(n - 1);
  SampleGrid grid;
  const auto along = [&](int axis) {
    return std::max(kLeastSamples, static_cast<int>(std::lround(size[axis] / cell)) + 1);
  };
  grid.nx = along(0), grid.ny = along(1), grid.nz = along(2);
  grid.origin = box.min;
  grid.spacing = size.cwiseQuotient(Vec3f(static_cast<float>(grid.nx - 1), static_cast<float>(grid.ny - 1),
                                          static_cast<float>(grid.nz - 1)));
  return grid;
}

io::Mesh level_set(const std::vector<float>& values, const SampleGrid& grid, const SurfaceOptions& options,
                   const MarchingCubesOptions& cubes) {
  const size_t plane = static_cast<size_t>(grid.nx) * static_cast<size_t>(grid.ny);
  io::Mesh mesh = marching_cubes(
      grid, [&](int k, float* to) { std::copy_n(values.data() + static_cast<size_t>(k) * plane, plane, to); },
      cubes);
  if (!options.keep_hollows) remove_hollows(mesh);
  remove_small_parts(mesh, options.small_part);
  return mesh;
}

/// threshold 0: where rays see a surface.
io::Mesh extract(std::vector<float> values, const SampleGrid& grid, float threshold,
                 const SurfaceOptions& options) {
  MarchingCubesOptions cubes;
  cubes.threshold = threshold;
  if (threshold <= 0) {
    values = seen_opacity(std::move(values), grid);
    cubes.threshold = -std::expm1(-kSurfaceDepth);
  }
  return level_set(values, grid, options, cubes);
}

/// Whether the mesh is the box, more or less.
bool fills(const io::Mesh& mesh, const Box3f& box) {
  constexpr double kAlmostAll = 0.85;
  return volume(mesh) > kAlmostAll * static_cast<double>(box.size().prod());
}

[[noreturn]] void refuse(bool is_full) {
  if (is_full)
    throw UserError(
        "the field fills its box: no density parts matter from haze, so there is no surface to write. Train "
        "longer, raise system.loss.lambda_sparsity, or name a density with isosurface_threshold.");
  throw UserError(
      "the field is empty: nowhere is it dense enough for a surface. Train longer, lower "
      "system.loss.lambda_sparsity, or raise system.geometry.density_bias.");
}

[[noreturn]] void refuse_threshold(float threshold) {
  throw UserError(cat("isosurface_threshold is ", threshold,
                      " and the field is nowhere as dense as that. Lower it, or write auto."));
}

/// The part of the box that a mesh is in, with a margin.
Box3f around(const io::Mesh& mesh, const SampleGrid& grid, const Box3f& box) {
  Box3f out = mesh.bounds();
  const Vec3f margin = kMargin * out.size() + 2 * grid.spacing;
  out.min = (out.min - margin).cwiseMax(box.min);
  out.max = (out.max + margin).cwiseMin(box.max);
  return out;
}

FieldSurface cut_density(const FieldSampler& sampler, const SurfaceOptions& options) {
  FieldSurface out;
  SampleGrid coarse = cubical_grid(options.box, options.resolution / 2);
  std::vector<float> seen = sample_field(sampler, coarse, options.n_blurs);
  if (!has_matter(seen, coarse)) {  // or it stands between the samples
    coarse = cubical_grid(options.box, options.resolution);
    seen = sample_field(sampler, coarse, options.n_blurs);
  }
  const bool is_empty = !has_matter(seen, coarse);
  io::Mesh first = extract(std::move(seen), coarse, options.threshold * kFound, options);
  if (first.faces.empty() && options.threshold > 0 && !is_empty) refuse_threshold(options.threshold);
  if (first.faces.empty() || fills(first, options.box)) refuse(!is_empty);

  out.box = around(first, coarse, options.box);
  const SampleGrid fine = cubical_grid(out.box, options.resolution);
  out.mesh = extract(sample_field(sampler, fine, options.n_blurs), fine, options.threshold, options);
  // What is thinner than the finer grid's cells may have been there only by the coarser one's blur.
  if (out.mesh.faces.empty() && options.threshold > 0) refuse_threshold(options.threshold);
  if (out.mesh.faces.empty()) out.mesh = std::move(first);
  return out;
}

FieldSurface cut_depth(const FieldSampler& sampler, const SurfaceOptions& options) {
  FieldSurface out;
  const SampleGrid coarse = cubical_grid(options.box, options.resolution / 2);
  MarchingCubesOptions cubes;
  cubes.threshold = -0.5f * coarse.spacing.norm();  // what stands between the samples is this near to one
  const io::Mesh first = level_set(sample_values(sampler.depth, coarse), coarse, options, cubes);
  if (!first.faces.empty()) {
    out.box = around(first, coarse, options.box);
    const SampleGrid fine = cubical_grid(out.box, options.resolution);
    out.mesh = level_set(sample_values(sampler.depth, fine), fine, options, {});
  }
  if (out.mesh.faces.empty())
    throw UserError(
        "the signed distance is nowhere below its surface's level, so there is no surface to write. Start "
        "from a shape (system.geometry.sdf_bias or shape_init), or lower system.loss.lambda_sparsity.");
  if (fills(out.mesh, options.box))
    throw UserError(
        "the signed distance is below its surface's level almost everywhere: the mesh would be the box. "
        "Train longer, raise system.loss.lambda_sparsity, or start from a shape (system.geometry.sdf_bias).");
  return out;
}

}  // namespace

FieldSurface cut_field(const FieldSampler& sampler, const SurfaceOptions& options) {
  T3D_CHECK(options.resolution >= 2 * kLeastSamples, "resolution ", options.resolution);
  FieldSurface out = sampler.depth ? cut_depth(sampler, options) : cut_density(sampler, options);

  smooth(out.mesh, options.n_smoothings);
  if (options.n_faces > 0 && out.mesh.faces.size() > options.n_faces) {
    if (!can_decimate())
      log::warning(
          "this t3d was built without meshoptimizer (libmeshoptimizer-dev): the mesh keeps all faces.");
    decimate(out.mesh, options.n_faces, options.max_error);
  }
  make_vertex_normals(out.mesh);
  return out;
}

}  // namespace t3d::export_
