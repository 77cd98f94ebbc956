#include "t3d/train/ngp_network_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "t3d/core/error.h"
#include "t3d/ops/hash_grid.h"
#include "t3d/ops/mlp.h"

namespace t3d::train {
namespace {

using ops::level_rows;
using ops::Rows;
using ops::rows;

constexpr float kMaxLogDensity = 15.0f;  // TruncExp: the gradient stays finite

/// to[i] = from[source[i]] for entries of kFeatures floats.
template <int kFeatures>
void select(const float* from, const int32_t* source, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i)
    std::memcpy(to + i * kFeatures, from + int64_t{source[i]} * kFeatures, kFeatures * sizeof(float));
}

void select(int n_features, const float* from, const int32_t* source, int64_t n, float* to) {
  switch (n_features) {
    case 1:
      return select<1>(from, source, n, to);
    case 2:
      return select<2>(from, source, n, to);
    case 4:
      return select<4>(from, source, n, to);
    default:
      return select<8>(from, source, n, to);
  }
}

}  // namespace

void NgpNetworkCpu::encode(const float* params, const float* points, int64_t n) {
  const int n_features = layout_.grid.config.n_features;
  float* x = coordinates_.need(3 * n);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < 3 * n; ++i) x[i] = points[i] * inverse_scale_ + 0.5f;
  pitch_ = ops::level_pitch(n, n_features);
  float* features = features_.need(pitch_ * layout_.grid.n_outputs());
  ops::cpu::hash_grid_forward(layout_.grid, params, x, 3, n, level_rows(features, pitch_, n_features));
}

void NgpNetworkCpu::density(const float* params, const float* points, int64_t n, float* sigma) {
  if (n == 0) return;
  encode(params, points, n);
  // Only the first output is wanted: its weights are the first row of the last matrix, so a network of one
  // output reads the same parameters.
  ops::MlpConfig first_output = layout_.density;
  first_output.n_out = 1;
  float* out = geometry_.need(n);
  const Rows<const float> features =
      level_rows<const float>(features_.data(), pitch_, layout_.grid.config.n_features);
  ops::cpu::mlp_forward(first_output, density_params(params), features, n, rows(out, 1), nullptr);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) sigma[i] = std::exp(std::min(out[i], kMaxLogDensity));
}

void NgpNetworkCpu::select_and_shade(const float* params, const int32_t* source, int64_t n,
                                     const float* directions_sh, const int32_t* ray, float* sigma,
                                     float* rgb) {
  if (n == 0) return;
  const int n_features = layout_.grid.config.n_features, n_levels = layout_.grid.config.n_levels;
  const int n_sh = layout_.n_sh(), n_geometry = layout_.density.n_out, n_in = layout_.colour.n_in;
  float* x = kept_coordinates_.need(3 * n);
  const int64_t pitch = ops::level_pitch(n, n_features);
  float* features = kept_features_.need(pitch * layout_.grid.n_outputs());
  float* colour_in = kept_colour_in_.need(n * n_in);
  const float *all_x = coordinates_.data(), *all_features = features_.data();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    const int64_t from = source[i];
    std::copy_n(all_x + 3 * from, 3, x + 3 * i);
    std::copy_n(directions_sh + static_cast<int64_t>(ray[from]) * n_sh, n_sh, colour_in + i * n_in);
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (int level = 0; level < n_levels; ++level)
    select(n_features, all_features + level * pitch_ * n_features, source, n,
           features + level * pitch * n_features);
  // The density network writes into the colour network's input, behind the spherical harmonics.
  float* density_hidden = density_hidden_.need(ops::cpu::mlp_hidden_size(layout_.density, n));
  ops::cpu::mlp_forward(layout_.density, density_params(params),
                        level_rows<const float>(features, pitch, n_features), n,
                        rows(colour_in + n_sh, n_geometry, n_in), density_hidden);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) sigma[i] = std::exp(std::min(colour_in[i * n_in + n_sh], kMaxLogDensity));
  float* colour_hidden = colour_hidden_.need(ops::cpu::mlp_hidden_size(layout_.colour, n));
  float* kept_rgb = kept_rgb_.need(3 * n);
  ops::cpu::mlp_forward(layout_.colour, colour_params(params), rows<const float>(colour_in, n_in), n,
                        rows(kept_rgb, 3), colour_hidden);
  std::copy_n(kept_rgb, 3 * n, rgb);
}

void NgpNetworkCpu::backward(const float* params, const float* d_sigma, const float* d_rgb, int64_t n,
                             float* gradients) {
  if (n == 0) return;
  const int n_features = layout_.grid.config.n_features;
  const int n_sh = layout_.n_sh(), n_geometry = layout_.density.n_out, n_in = layout_.colour.n_in;
  const float* colour_in = kept_colour_in_.data();
  float* d_colour_in = d_colour_in_.need(n * n_in);
  ops::cpu::mlp_backward(layout_.colour, colour_params(params), rows<const float>(colour_in, n_in), n,
                         rows<const float>(kept_rgb_.data(), 3), colour_hidden_.data(),
                         rows<const float>(d_rgb, 3), rows(d_colour_in, n_in),
                         gradients + layout_.n_grid + layout_.n_density);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    const float log_density = std::clamp(colour_in[i * n_in + n_sh], -kMaxLogDensity, kMaxLogDensity);
    d_colour_in[i * n_in + n_sh] += d_sigma[i] * std::exp(log_density);
  }
  const int64_t pitch = ops::level_pitch(n, n_features);
  float* d_features = d_features_.need(pitch * layout_.grid.n_outputs());
  ops::cpu::mlp_backward(layout_.density, density_params(params),
                         level_rows<const float>(kept_features_.data(), pitch, n_features), n, {},
                         density_hidden_.data(), rows<const float>(d_colour_in + n_sh, n_geometry, n_in),
                         level_rows(d_features, pitch, n_features), gradients + layout_.n_grid);
  ops::cpu::hash_grid_backward_params(layout_.grid, kept_coordinates_.data(), 3, n,
                                      level_rows<const float>(d_features, pitch, n_features), gradients);
}

void NgpNetworkCpu::shade(const float* params, const float* points, const float* sh, int64_t n, float* rgb) {
  if (n == 0) return;
  encode(params, points, n);
  const int n_features = layout_.grid.config.n_features;
  const int n_sh = layout_.n_sh(), n_geometry = layout_.density.n_out, n_in = layout_.colour.n_in;
  float* colour_in = kept_colour_in_.need(n * n_in);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) std::copy_n(sh + i * n_sh, n_sh, colour_in + i * n_in);
  ops::cpu::mlp_forward(layout_.density, density_params(params),
                        level_rows<const float>(features_.data(), pitch_, n_features), n,
                        rows(colour_in + n_sh, n_geometry, n_in), nullptr);
  ops::cpu::mlp_forward(layout_.colour, colour_params(params), rows<const float>(colour_in, n_in), n,
                        rows(rgb, 3), nullptr);
}

}  // namespace t3d::train
