#include "t3d/field/tetrahedra_sdf_grid.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/field/implicit_surface.h"
#include "t3d/field/sdf_shape.h"
#include "t3d/field/tet_grid.h"
#include "t3d/mesh/marching_tetrahedra.h"

namespace t3d::field {
namespace {

const std::string kConvert = "system.geometry_convert_from: ";

}  // namespace

TetrahedraSdfGrid::TetrahedraSdfGrid(const Config& config, const BuildContext& context)
    : config_(config),
      lattice_(open_tet_lattice(config.isosurface_resolution, context.device)),
      box_(cube(config.radius, context.device)),
      whole_box_(cube(config.radius, context.device)) {
  if (config.shape_init) check_initial_shape(config);
  sdf_ = state({lattice_.n_vertices(), 1});
  if (config.isosurface_deformable_grid) deformation_ = state({lattice_.n_vertices(), 3});
  if (!config.geometry_only) features_ = std::make_unique<SurfaceFeatures>(config, config.radius, context);
}

at::Tensor TetrahedraSdfGrid::state(at::IntArrayRef shape) const {
  const at::Tensor zeros = at::zeros(shape, box_.options());
  return config_.fix_geometry ? zeros : learned(zeros);
}

at::Tensor TetrahedraSdfGrid::features_at(const at::Tensor& points) const {
  return features_ ? features_->features_at(points) : at::Tensor();
}

mesh::SurfaceMesh TetrahedraSdfGrid::cut() const {
  mesh::SurfaceMesh mesh = mesh::marching_tetrahedra(lattice_, sdf_, deformation_);
  if (mesh.faces.size(0) == 0) {
    const bool is_fresh = !sdf_.detach().any().item<bool>();
    throw UserError(cat("geometry: there is no surface: the signed distance is ",
                        is_fresh ? "0" : "of one sign",
                        " at all vertices of the tetrahedra. Begin with a shape: set geometry.shape_init "
                        "(sphere, ellipsoid or "
                        "mesh:FILE), or system.geometry_convert_from to an earlier run",
                        is_fresh ? "." : "; or lower the learning rate if there was one."));
  }
  if (!c10::GradMode::is_enabled())
    warn_if_cut_off(lattice_, sdf_, has_warned_, "Raise geometry.radius, or begin with a smaller shape.");
  mesh.vertices = in_box(mesh.vertices, box_);
  if (config_.isosurface_remove_outliers)
    mesh = mesh::without_outliers(mesh, config_.isosurface_outlier_n_faces_threshold);
  return mesh;
}

uint32_t TetrahedraSdfGrid::version() const {
  // The counts of writes only grow, and so does their sum.
  return static_cast<uint32_t>(sdf_._version() + box_._version() +
                               (deformation_.defined() ? deformation_._version() : 0));
}

mesh::SurfaceMesh TetrahedraSdfGrid::surface_mesh() const {
  if (!config_.fix_geometry) return cut();
  const std::lock_guard<std::mutex> lock(fixed_access_);
  const uint32_t now = version();
  if (!fixed_ || fixed_->first != now) {
    const c10::NoGradGuard no_grad;
    fixed_ = {now, cut()};
  }
  return fixed_->second;
}

ShapeFunction TetrahedraSdfGrid::first_shape(bool has_weights) const {
  if (!config_.shape_init || (has_weights && !config_.force_shape_init)) return {};
  return initial_shape(config_);
}

void TetrahedraSdfGrid::check_shape(bool has_weights) const {
  first_shape(has_weights);
}

void TetrahedraSdfGrid::initialize_shape(bool has_weights) {
  const ShapeFunction target = first_shape(has_weights);
  if (!target) return;
  const c10::NoGradGuard no_grad;
  sdf_.copy_(target(in_box(lattice_.vertices, box_)));
}

void TetrahedraSdfGrid::start_as_grid(const TetrahedraSdfGrid& previous) {
  if (previous.sdf_.sizes() != sdf_.sizes() || !previous.lattice_.corners.equal(lattice_.corners))
    throw UserError(cat(
        kConvert, "the earlier grid has isosurface_resolution=", previous.config_.isosurface_resolution, " (",
        previous.sdf_.size(0), " vertices) and this one ", config_.isosurface_resolution, " (", sdf_.size(0),
        "). Set system.geometry.isosurface_resolution=", previous.config_.isosurface_resolution,
        ", and use the same file load/tets if there is one."));
  box_.copy_(previous.box_);
  sdf_.copy_(previous.sdf_);
  if (deformation_.defined() && previous.deformation_.defined()) deformation_.copy_(previous.deformation_);
}

void TetrahedraSdfGrid::start_as_field(const Geometry& previous) {
  const auto* field = dynamic_cast<const ImplicitSurface*>(previous.surface());
  if (field == nullptr)
    throw UserError(
        cat(kConvert,
            "a tetrahedra-sdf-grid starts from another one, or from a geometry that is a density or a "
            "signed distance. Name a run with implicit-volume, implicit-sdf or tetrahedra-sdf-grid."));
  const LatticeSurface surface = [&] {
    try {
      return field->surface_on(lattice_);
    } catch (const UserError& error) {
      throw UserError(cat(kConvert, "of the earlier run, ", error.what(),
                          " Its keys are set by system.geometry_convert_override."));
    }
  }();
  box_.copy_(surface.box);
  // A density's level is no distance, and far from the surface far too large for one.
  sdf_.copy_(previous.density() != nullptr ? surface.level.clamp(-1, 1) : surface.level);
  if (deformation_.defined() && surface.deformation.defined()) deformation_.copy_(surface.deformation);
}

void TetrahedraSdfGrid::start_as(const Geometry& previous, bool with_features) {
  const auto* grid = dynamic_cast<const TetrahedraSdfGrid*>(&previous);
  const bool takes_features = with_features && features_ && previous.appearance() != nullptr;
  if (takes_features && previous.radius() != radius())
    throw UserError(cat(kConvert, "the earlier geometry's radius is ", previous.radius(), " and this one's ",
                        radius(), ", so that its features would lie elsewhere. Set system.geometry.radius=",
                        previous.radius(), ", or system.geometry_convert_inherit_texture=false."));
  const c10::NoGradGuard no_grad;
  if (grid != nullptr)
    start_as_grid(*grid);
  else
    start_as_field(previous);
  if (takes_features) copy_parts(previous, *this, {"encoding.", "feature_network."});
}

void TetrahedraSdfGrid::collect(const std::string& prefix, NamedTensors& parameters,
                                NamedTensors& buffers) const {
  buffers.emplace(prefix + "bbox", whole_box_);
  buffers.emplace(prefix + "isosurface_bbox", box_);
  NamedTensors& shape = config_.fix_geometry ? buffers : parameters;
  shape.emplace(prefix + "sdf", sdf_);
  if (deformation_.defined()) shape.emplace(prefix + "deformation", deformation_);
  if (features_) features_->collect(prefix, parameters, buffers);
}

void TetrahedraSdfGrid::update_step(int64_t step) {
  if (features_) features_->update_step(step);
}

}  // namespace t3d::field
