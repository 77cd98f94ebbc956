#include "t3d/diffusion/noise_schedule.h"

#include <ATen/ATen.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::diffusion {
namespace {

at::Tensor betas_of(const NoiseScheduleConfig& c) {
  const int64_t n = c.n_steps;
  if (!c.trained_betas.empty()) return at::tensor(c.trained_betas, at::kDouble).to(at::kFloat);
  if (c.beta_schedule == "linear") return at::linspace(c.beta_start, c.beta_end, n, at::kFloat);
  if (c.beta_schedule == "scaled_linear")
    return at::linspace(std::sqrt(c.beta_start), std::sqrt(c.beta_end), n, at::kFloat).square();
  if (c.beta_schedule == "sigmoid")
    return at::sigmoid(at::linspace(-6, 6, n, at::kFloat)) * (c.beta_end - c.beta_start) + c.beta_start;
  if (c.beta_schedule == "squaredcos_cap_v2") {  // Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17
    const auto bar = [n](int64_t i) {
      const double x = std::cos((static_cast<double>(i) / n + 0.008) / 1.008 * M_PI / 2);
      return x * x;
    };
    std::vector<double> betas;
    for (int64_t i = 0; i < n; ++i) betas.push_back(std::min(1 - bar(i + 1) / bar(i), 0.999));
    return at::tensor(betas, at::kDouble).to(at::kFloat);
  }
  throw UserError(cat("beta_schedule is ", c.beta_schedule,
                      ", expected linear, scaled_linear, squaredcos_cap_v2 or sigmoid."));
}

/// sqrt(a) shifted and scaled so that the last one is 0 and the first one stays.
at::Tensor without_last_signal(const at::Tensor& betas) {
  const auto root = (1 - betas).cumprod(0).sqrt();
  const auto first = root[0].clone(), last = root[-1].clone();
  const auto bar = ((root - last) * (first / (first - last))).square();  // [N]
  const auto alphas = at::cat({bar.slice(0, 0, 1), bar.slice(0, 1) / bar.slice(0, 0, -1)});
  return 1 - alphas;
}

}  // namespace

Prediction prediction_of(const std::string& name, const std::string& where) {
  if (name == "epsilon") return Prediction::Epsilon;
  if (name == "v_prediction") return Prediction::Velocity;
  if (name == "sample") return Prediction::Sample;
  throw UserError(cat(where, ": prediction_type is ", name, ", expected epsilon, v_prediction or sample."));
}

const char* name_of(Prediction prediction) {
  switch (prediction) {
    case Prediction::Epsilon:
      return "epsilon";
    case Prediction::Velocity:
      return "v_prediction";
    default:
      return "sample";
  }
}

NoiseSchedule::NoiseSchedule(const NoiseScheduleConfig& c) {
  if (c.n_steps < 2 || c.n_steps > 1000000)
    throw UserError(cat("num_train_timesteps is ", c.n_steps, ", expected 2 to 1000000."));
  betas_ = betas_of(c);
  if (c.zero_terminal_snr) betas_ = without_last_signal(betas_);
  const auto in_range = betas_.ge(0).logical_and(betas_.le(1));
  if (betas_.size(0) < 2 || !in_range.all().item<bool>() || !(betas_[0].item<float>() < 1))
    throw UserError("the noise schedule's betas are not all between 0 and 1: check beta_start and beta_end.");
  alphas_cumprod_ = (1 - betas_).cumprod(0);
  const auto bars = alphas_cumprod_.to(at::kDouble);
  alpha_bar_.assign(bars.data_ptr<double>(), bars.data_ptr<double>() + bars.numel());
}

NoiseSchedule NoiseSchedule::to(c10::Device device) const {
  NoiseSchedule moved = *this;
  moved.betas_ = betas_.to(device);
  moved.alphas_cumprod_ = alphas_cumprod_.to(device);
  return moved;
}

NoiseSchedule::Mix NoiseSchedule::weights_at(const at::Tensor& t, const at::Tensor& like) const {
  T3D_CHECK(t.dim() == 1 && t.scalar_type() == at::kLong && (t.size(0) == like.size(0) || t.size(0) == 1),
            "t ", t.sizes(), " for ", like.sizes());
  std::vector<int64_t> shape(like.dim(), 1);
  shape[0] = t.size(0);
  const auto bar = alphas_cumprod_.index_select(0, t).view(shape);
  return {bar.sqrt(), (1 - bar).sqrt()};
}

at::Tensor NoiseSchedule::add_noise(const at::Tensor& x0, const at::Tensor& noise,
                                    const at::Tensor& t) const {
  const auto w = weights_at(t, x0);
  return (w.signal * x0 + w.noise * noise).to(x0.scalar_type());
}

at::Tensor NoiseSchedule::velocity(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t) const {
  const auto w = weights_at(t, x0);
  return (w.signal * noise - w.noise * x0).to(x0.scalar_type());
}

at::Tensor NoiseSchedule::noise_of(const at::Tensor& output, const at::Tensor& x_t, const at::Tensor& t,
                                   Prediction prediction) const {
  if (prediction == Prediction::Epsilon) return output;
  const auto w = weights_at(t, x_t);
  const auto noise = prediction == Prediction::Velocity ? w.signal * output + w.noise * x_t
                                                        : (x_t - w.signal * output) / w.noise;
  return noise.to(output.scalar_type());
}

at::Tensor NoiseSchedule::clean_of(const at::Tensor& output, const at::Tensor& x_t, const at::Tensor& t,
                                   Prediction prediction) const {
  if (prediction == Prediction::Sample) return output;
  const auto w = weights_at(t, x_t);
  const auto clean = prediction == Prediction::Velocity ? w.signal * x_t - w.noise * output
                                                        : (x_t - w.noise * output) / w.signal;
  return clean.to(output.scalar_type());
}

}  // namespace t3d::diffusion
