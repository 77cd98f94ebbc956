#include "t3d/field/implicit_surface.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/field/geometry.h"
#include "t3d/mesh/marching_tetrahedra.h"

namespace t3d::field {
namespace {

constexpr int64_t kChunk = 1 << 17;
constexpr double kMargin = 0.1, kAutoAbove = 1e-5, kLeastExtent = 1e-3;

/// [M] the vertices at the ends of edges that the surface crosses.
at::Tensor crossed_ends(const mesh::TetLattice& lattice, const at::Tensor& level) {
  const at::Tensor is_outside = level.reshape({-1}) > 0;
  const at::Tensor a = lattice.ends.select(0, 0), b = lattice.ends.select(0, 1);
  const at::Tensor crossed =
      (is_outside.index_select(0, a) != is_outside.index_select(0, b)).nonzero().squeeze(1);
  at::Tensor is_end = at::zeros_like(is_outside);
  for (const at::Tensor& end : {a, b})
    is_end.index_fill_(0, end.index_select(0, crossed).to(at::kLong), true);
  return is_end.nonzero().squeeze(1);
}

}  // namespace

at::Tensor in_box(const at::Tensor& unit, const at::Tensor& box) {
  return unit * (box[1] - box[0]) + box[0];
}

void warn_if_cut_off(const mesh::TetLattice& lattice, const at::Tensor& level, bool& has_warned,
                     const std::string& what_to_do) {
  if (has_warned) return;
  const at::Tensor is_border = ((lattice.vertices <= 0) | (lattice.vertices >= 1)).any(1);  // [N]
  if (!((level.detach().reshape({-1}) <= 0) & is_border).any().item<bool>()) return;
  has_warned = true;
  log::warning(cat("the surface leaves its box, which cuts it off: the mesh is open there. ", what_to_do));
}

ImplicitSurface::ImplicitSurface(const ImplicitConfig& config, c10::Device device, Inside inside)
    : keys_(config),
      inside_(inside),
      whole_box_(cube(config.radius, device)),
      grid_(config.isosurface_resolution, device) {
  if (config.isosurface_threshold.index() == 1 && std::get<1>(config.isosurface_threshold) != "auto")
    throw UserError(cat("geometry.isosurface_threshold is ", std::get<1>(config.isosurface_threshold),
                        ", expected a number or auto."));
}

double ImplicitSurface::threshold_of(const at::Tensor& values) const {
  if (keys_.isosurface_threshold.index() == 0) return std::get<0>(keys_.isosurface_threshold);
  if (inside_ == Inside::Below) return 0;  // a distance has its surface at 0
  const at::Tensor matter = values.masked_select(values > kAutoAbove);
  return matter.numel() == 0 ? 0 : matter.mean().item<double>();
}

at::Tensor ImplicitSurface::level_of(const at::Tensor& values, double threshold) const {
  return inside_ == Inside::Below ? values - threshold : threshold - values;
}

void ImplicitSurface::refuse(const at::Tensor& values, double threshold) const {
  const double low = values.min().item<double>(), high = values.max().item<double>();
  if (inside_ == Inside::Below)
    throw UserError(
        cat("geometry: there is no surface: the signed distance, ", low, " to ", high,
            " at the grid's vertices, is nowhere on both sides of isosurface_threshold=", threshold,
            ". Start from a shape (geometry.shape_init or sdf_bias), set isosurface_threshold "
            "between these numbers, or raise isosurface_resolution."));
  throw UserError(cat("geometry: there is no surface: the density, ", low, " to ", high,
                      " at the grid's vertices, is nowhere on both sides of isosurface_threshold=", threshold,
                      ". Set geometry.isosurface_threshold between these numbers, or write auto."));
}

LatticeValues ImplicitSurface::values_in_chunks(const at::Tensor& points) const {
  const int64_t n = points.size(0), chunk = keys_.isosurface_chunk > 0 ? keys_.isosurface_chunk : kChunk;
  std::vector<at::Tensor> values, deformations;
  for (int64_t begin = 0; begin < n; begin += chunk) {
    const LatticeValues part = values_at(points.narrow(0, begin, std::min(chunk, n - begin)));
    values.push_back(part.value);
    if (part.deformation.defined()) deformations.push_back(part.deformation);
  }
  return {at::cat(values), deformations.empty() ? at::Tensor() : at::cat(deformations)};
}

LatticeSurface ImplicitSurface::cut(const mesh::TetLattice& lattice, const at::Tensor& box) const {
  const at::Tensor points = in_box(lattice.vertices, box);  // [N,3]
  LatticeSurface out;
  out.box = box;
  double threshold = 0;
  {
    const c10::NoGradGuard no_grad;
    const LatticeValues all = values_in_chunks(points);
    threshold = threshold_of(all.value);
    out.level = level_of(all.value, threshold);
    out.deformation = all.deformation;
    const at::Tensor is_outside = out.level > 0;
    if (is_outside.all().item<bool>() || !is_outside.any().item<bool>()) refuse(all.value, threshold);
  }
  if (!c10::GradMode::is_enabled())
    warn_if_cut_off(lattice, out.level, has_warned_, "Raise geometry.radius, or isosurface_threshold.");
  if (c10::GradMode::is_enabled()) {
    const at::Tensor ends = crossed_ends(lattice, out.level);
    const LatticeValues near = values_at(points.index_select(0, ends));
    out.level = out.level.index_copy(0, ends, level_of(near.value, threshold));
    if (near.deformation.defined()) out.deformation = out.deformation.index_copy(0, ends, near.deformation);
  }
  out.mesh = mesh::marching_tetrahedra(lattice, out.level, out.deformation);
  out.mesh.vertices = in_box(out.mesh.vertices, box);
  if (keys_.isosurface_remove_outliers)
    out.mesh = mesh::without_outliers(out.mesh, keys_.isosurface_outlier_n_faces_threshold);
  return out;
}

LatticeSurface ImplicitSurface::cut(const mesh::TetLattice& lattice) const {
  if (!keys_.isosurface)
    throw UserError(
        "geometry.isosurface is false, so that the geometry has no surface of triangles. Set it to true.");
  if (!keys_.isosurface_coarse_to_fine) return cut(lattice, whole_box_);
  at::Tensor box;
  {
    const c10::NoGradGuard no_grad;
    const at::Tensor found = cut(lattice, whole_box_).mesh.vertices;  // [V,3]
    const at::Tensor low = found.amin(0), high = found.amax(0);
    const at::Tensor margin = kMargin * (high - low).clamp_min(kLeastExtent * keys_.radius);
    box = at::stack({at::maximum(low - margin, whole_box_[0]), at::minimum(high + margin, whole_box_[1])});
  }
  return cut(lattice, box);
}

mesh::SurfaceMesh ImplicitSurface::surface_mesh() const {
  return cut(*grid_).mesh;
}

LatticeSurface ImplicitSurface::surface_on(const mesh::TetLattice& lattice) const {
  const c10::NoGradGuard no_grad;
  return cut(lattice);
}

}  // namespace t3d::field
