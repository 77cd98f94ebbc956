#include "t3d/field/volume_grid.h"

#include <ATen/ATen.h>

namespace t3d::field {
namespace {

constexpr float kNormalEps = 1e-3f;
constexpr int64_t kBilinear = 0, kZeroPadding = 0;  // torch's numbers for grid_sampler

}  // namespace

VolumeGrid::VolumeGrid(const Config& config, const BuildContext& context)
    : ImplicitSurface(config, context.device, Inside::Above),
      config_(config),
      bias_{config.density_bias, config.density_blob_scale, config.density_blob_std} {
  bias_.check("geometry.density_bias");
  activation_ = activation_by_name(config.density_activation, "geometry.density_activation");
  const auto options = at::TensorOptions().dtype(at::kFloat).device(context.device);
  const auto& g = config.grid_size;
  grid_ = learned(at::zeros({1, 1 + config.n_feature_dims, g[0], g[1], g[2]}, options));
  if (config.normal_type == NormalType::Pred)
    normal_grid_ = learned(at::zeros({1, 3, g[0], g[1], g[2]}, options));
  density_scale_ = at::zeros({}, options);
  if (config.density_bias.index() == 0) learned(density_scale_);
  box_ = cube(config.radius, context.device);
}

at::Tensor VolumeGrid::read(const at::Tensor& grid, const at::Tensor& points) const {
  const auto where = (points / config_.radius).reshape({1, -1, 1, 1, 3});
  const auto values = at::grid_sampler(grid, where, kBilinear, kZeroPadding, /*align_corners=*/false);
  return values.reshape({grid.size(1), -1}).t();  // [N,C]
}

at::Tensor VolumeGrid::activated(const at::Tensor& raw, const at::Tensor& points) const {
  return activation_(raw * density_scale_.exp() + bias_(points));
}

at::Tensor VolumeGrid::density_at(const at::Tensor& points) const {
  return activated(read(grid_.narrow(1, 0, 1), points), points);
}

at::Tensor VolumeGrid::features_at(const at::Tensor& points) const {
  if (config_.n_feature_dims == 0) return {};
  return read(grid_.narrow(1, 1, config_.n_feature_dims), points);
}

GeometryOutput VolumeGrid::samples_at(const at::Tensor& points, bool with_normals) const {
  GeometryOutput out;
  const auto values = read(grid_, points);  // [N,1+F]
  out.density = activated(values.narrow(1, 0, 1), points);
  if (config_.n_feature_dims > 0) out.features = values.narrow(1, 1, config_.n_feature_dims);
  if (!with_normals) return out;
  if (normal_grid_.defined()) {
    out.normal = unit_rows(read(normal_grid_, points));
  } else {
    out.normal = density_normals(
        config_.normal_type.value_or(NormalType::None), points, out.density,
        [this](const at::Tensor& x) { return density_at(x); }, kNormalEps, config_.radius);
  }
  out.shading_normal = out.normal;
  return out;
}

void VolumeGrid::collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const {
  buffers.emplace(prefix + "bbox", box_);
  parameters.emplace(prefix + "grid", grid_);
  (density_scale_.requires_grad() ? parameters : buffers).emplace(prefix + "density_scale", density_scale_);
  if (normal_grid_.defined()) parameters.emplace(prefix + "normal_grid", normal_grid_);
}

}  // namespace t3d::field
