#include "t3d/field/implicit_volume.h"

#include <ATen/ATen.h>

namespace t3d::field {

ImplicitVolume::ImplicitVolume(const Config& config, const BuildContext& context)
    : ImplicitSurface(config, context.device, Inside::Above),
      config_(config),
      bias_{config.density_bias, config.density_blob_scale, config.density_blob_std} {
  bias_.check("geometry.density_bias");
  activation_ = activation_by_name(config.density_activation, "geometry.density_activation");
  encoding_ = make_encoding(config.n_input_dims, config.pos_encoding_config, "geometry.pos_encoding_config",
                            context.part("encoding"));
  const auto network = [&](const char* name, int n_out) {
    return make_network(encoding_->n_outputs(), n_out, config.mlp_network_config,
                        "geometry.mlp_network_config", context.part(name));
  };
  density_network_ = network("density_network", 1);
  if (config.n_feature_dims > 0) feature_network_ = network("feature_network", config.n_feature_dims);
  if (config.normal_type == NormalType::Pred) normal_network_ = network("normal_network", 3);
  box_ = cube(config.radius, context.device);
}

at::Tensor ImplicitVolume::encoded(const at::Tensor& points) const {
  return (*encoding_)((points + config_.radius) / (2 * config_.radius));
}

at::Tensor ImplicitVolume::activated(const at::Tensor& encoded, const at::Tensor& points) const {
  return activation_((*density_network_)(encoded) + bias_(points));  // [N,1]
}

at::Tensor ImplicitVolume::density_at(const at::Tensor& points) const {
  return activated(encoded(points), points);
}

at::Tensor ImplicitVolume::features_at(const at::Tensor& points) const {
  return feature_network_ ? (*feature_network_)(encoded(points)) : at::Tensor();
}

GeometryOutput ImplicitVolume::samples_at(const at::Tensor& points, bool with_normals) const {
  GeometryOutput out;
  const auto e = encoded(points);
  out.density = activated(e, points);
  if (feature_network_) out.features = (*feature_network_)(e);
  if (!with_normals) return out;
  if (normal_network_) {
    out.normal = unit_rows((*normal_network_)(e));
  } else {
    out.normal = density_normals(
        config_.normal_type.value_or(NormalType::None), points, out.density,
        [this](const at::Tensor& x) { return density_at(x); }, config_.finite_difference_normal_eps,
        config_.radius);
  }
  out.shading_normal = out.normal;
  return out;
}

void ImplicitVolume::start_as(const Geometry& previous, bool with_features) {
  if (dynamic_cast<const ImplicitVolume*>(&previous) == nullptr)
    return Geometry::start_as(previous, with_features);
  start_as_same_kind(previous, *this, {"encoding.", "density_network."},
                     {"feature_network.", "normal_network."}, with_features);
}

void ImplicitVolume::collect(const std::string& prefix, NamedTensors& parameters,
                             NamedTensors& buffers) const {
  buffers.emplace(prefix + "bbox", box_);
  encoding_->collect(prefix + "encoding.encoding.", parameters, buffers);
  density_network_->collect(prefix + "density_network.", parameters, buffers);
  if (feature_network_) feature_network_->collect(prefix + "feature_network.", parameters, buffers);
  if (normal_network_) normal_network_->collect(prefix + "normal_network.", parameters, buffers);
}

void ImplicitVolume::update_step(int64_t step) {
  encoding_->update_step(step);
}

}  // namespace t3d::field
