#include "t3d/field/implicit_sdf.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/core/interrupt.h"
#include "t3d/core/progress.h"
#include "t3d/core/rng.h"
#include "t3d/ops/adam.h"

namespace t3d::field {
namespace {

constexpr int kInitSteps = 1000, kInitPoints = 10000;
constexpr double kInitRate = 1e-3;

at::Tensor uniform_points(int64_t n, float radius, Rng& rng) {
  auto points = at::empty({n, 3}, at::kFloat);
  for (int64_t i = 0; i < points.numel(); ++i) points.data_ptr<float>()[i] = rng.uniform(-radius, radius);
  return points;
}

/// Takes parameters to where the mean square of `error` is small.
void descend(const std::vector<at::Tensor>& parameters, const std::function<at::Tensor()>& error,
             const RunControl& control) {
  const c10::AutoGradMode with_gradients(true);
  std::vector<at::Tensor> m, v;
  for (const at::Tensor& p : parameters) m.push_back(at::zeros_like(p)), v.push_back(at::zeros_like(p));
  ops::AdamConfig adam;
  adam.beta2 = 0.999, adam.eps = 1e-8;
  Progress progress("shape", kInitSteps, control.shows_progress);
  for (int step = 1; step <= kInitSteps; ++step) {
    control.stop.throw_if_requested("training had not begun");
    const auto loss = error().square().mean();
    const auto gradients = torch::autograd::grad({loss}, parameters, {}, c10::nullopt, false, true);
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i)
      if (gradients[i].defined())
        ops::adam_step(parameters[i].detach(), gradients[i].contiguous(), m[i], v[i], adam, kInitRate, step);
    progress.update(step);
  }
  progress.finish();
}

}  // namespace

ImplicitSdf::ImplicitSdf(const Config& config, const BuildContext& context)
    : ImplicitSurface(config, context.device, Inside::Below),
      config_(config),
      init_seed_(context.part("shape_init").seed),
      device_(context.device),
      control_(context.control) {
  if (config.sdf_bias.index() == 1)
    bias_ = analytic_shape(std::get<1>(config.sdf_bias), config.sdf_bias_params, "geometry.sdf_bias");
  if (config.shape_init) check_initial_shape(config);
  if (config.isosurface_deformable_grid && config.isosurface_method != "mt")
    throw UserError("geometry.isosurface_deformable_grid needs isosurface_method mt.");
  encoding_ = make_encoding(config.n_input_dims, config.pos_encoding_config, "geometry.pos_encoding_config",
                            context.part("encoding"));
  const auto network = [&](const char* name, int n_out) {
    return make_network(encoding_->n_outputs(), n_out, config.mlp_network_config,
                        "geometry.mlp_network_config", context.part(name));
  };
  sdf_network_ = network("sdf_network", 1);
  if (config.n_feature_dims > 0) feature_network_ = network("feature_network", config.n_feature_dims);
  if (config.normal_type == NormalType::Pred) normal_network_ = network("normal_network", 3);
  if (config.isosurface_deformable_grid) deformation_network_ = network("deformation_network", 3);
  box_ = cube(config.radius, context.device);
  if (config.finite_difference_normal_eps.index() == 1) {
    const std::string& name = std::get<1>(config.finite_difference_normal_eps);
    if (name != "progressive")
      throw UserError(cat("geometry.finite_difference_normal_eps is ", name,
                          did_you_mean(name, {"progressive"}), ", expected a number or progressive."));
    if (!encoding_->progressive_resolution())
      throw UserError(
          "geometry.finite_difference_normal_eps is progressive, which follows the levels of "
          "pos_encoding_config.otype ProgressiveBandHashGrid. Use that, or a number.");
  } else if (!(std::get<0>(config.finite_difference_normal_eps) > 0)) {
    throw UserError(cat("geometry.finite_difference_normal_eps is ",
                        std::get<0>(config.finite_difference_normal_eps), ", expected a number above 0."));
  }
}

float ImplicitSdf::surface_level() const {
  return config_.isosurface_threshold.index() == 0 ? std::get<0>(config_.isosurface_threshold) : 0;
}

float ImplicitSdf::normal_eps() const {
  if (config_.finite_difference_normal_eps.index() == 0)
    return std::get<0>(config_.finite_difference_normal_eps);
  return static_cast<float>(2 * config_.radius / *encoding_->progressive_resolution());
}

at::Tensor ImplicitSdf::encoded(const at::Tensor& points) const {
  return (*encoding_)((points + config_.radius) / (2 * config_.radius));
}

at::Tensor ImplicitSdf::biased(const at::Tensor& encoded, const at::Tensor& points) const {
  const auto value = (*sdf_network_)(encoded);  // [N,1]
  return bias_ ? value + bias_(points) : value + std::get<0>(config_.sdf_bias);
}

at::Tensor ImplicitSdf::distance_at(const at::Tensor& points) const {
  return biased(encoded(points), points);
}

at::Tensor ImplicitSdf::features_at(const at::Tensor& points) const {
  return feature_network_ ? (*feature_network_)(encoded(points)) : at::Tensor();
}

LatticeValues ImplicitSdf::values_at(const at::Tensor& points) const {
  const at::Tensor e = encoded(points);
  return {biased(e, points), deformation_network_ ? (*deformation_network_)(e) : at::Tensor()};
}

GeometryOutput ImplicitSdf::samples_at(const at::Tensor& points, bool with_normals) const {
  GeometryOutput out;
  const auto e = encoded(points);
  out.sdf = biased(e, points);
  if (feature_network_) out.features = (*feature_network_)(e);
  if (!with_normals) return out;
  if (normal_network_) {
    out.normal = out.sdf_grad = unit_rows((*normal_network_)(e));
  } else {
    out.sdf_grad = field_slope(
        config_.normal_type.value_or(NormalType::None), points, out.sdf,
        [this](const at::Tensor& x) { return distance_at(x); }, normal_eps(), config_.radius);
    out.normal = unit_rows(out.sdf_grad);
  }
  out.shading_normal = out.normal;
  return out;
}

ShapeFunction ImplicitSdf::first_shape(bool has_weights) const {
  if (!config_.shape_init || (has_weights && !config_.force_shape_init)) return {};
  return initial_shape(config_);
}

void ImplicitSdf::check_shape(bool has_weights) const {
  first_shape(has_weights);
}

void ImplicitSdf::initialize_shape(bool has_weights) {
  const ShapeFunction target = first_shape(has_weights);
  if (!target) return;
  encoding_->update_step(0);  // levels that open with the steps are shut until then
  std::vector<at::Tensor> all;
  for (const auto& [name, tensor] : parameters()) all.push_back(tensor);
  Rng rng(init_seed_);
  descend(
      all,
      [&] {
        const auto points = uniform_points(kInitPoints, config_.radius, rng);  // [N,3]
        return distance_at(points.to(device_)) - target(points).to(device_);
      },
      control_);
}

void ImplicitSdf::start_as(const Geometry& previous, bool with_features) {
  if (dynamic_cast<const ImplicitSdf*>(&previous) == nullptr)
    return Geometry::start_as(previous, with_features);
  start_as_same_kind(previous, *this, {"encoding.", "sdf_network.", "deformation_network."},
                     {"feature_network.", "normal_network."}, with_features);
}

void ImplicitSdf::collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const {
  buffers.emplace(prefix + "bbox", box_);
  encoding_->collect(prefix + "encoding.encoding.", parameters, buffers);
  sdf_network_->collect(prefix + "sdf_network.", parameters, buffers);
  if (feature_network_) feature_network_->collect(prefix + "feature_network.", parameters, buffers);
  if (normal_network_) normal_network_->collect(prefix + "normal_network.", parameters, buffers);
  if (deformation_network_)
    deformation_network_->collect(prefix + "deformation_network.", parameters, buffers);
}

void ImplicitSdf::update_step(int64_t step) {
  encoding_->update_step(step);
}

}  // namespace t3d::field
