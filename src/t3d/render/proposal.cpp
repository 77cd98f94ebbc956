#include "t3d/render/proposal.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/activation.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/importance.h"

namespace t3d::render {
namespace {

constexpr double kMostBetween = 5, kBetweenSteps = 1000;

}  // namespace

Proposal::Proposal(const Config& config, const SamplerConfig& sampler, int n_first,
                   const field::BuildContext& context)
    : sampler_(sampler), n_first_(n_first) {
  if (sampler.far_plane >= 1e10f)
    throw UserError("renderer.estimator is proposal, which needs far_plane. Set near_plane and far_plane.");
  const std::string at = "renderer.proposal_network_config.";
  encoding_ = field::make_encoding(config.n_input_dims, config.encoding_config, at + "encoding_config",
                                   context.part("proposal.encoding"));
  network_ = field::make_network(encoding_->n_outputs(), config.n_output_dims, config.network_config,
                                 at + "network_config", context.part("proposal.network"));
}

at::Tensor Proposal::density(const at::Tensor& points) const {
  const auto u = (points + sampler_.radius) / (2 * sampler_.radius);  // [N,3]
  const auto inside = (u > 0).logical_and(u < 1).all(1);              // [N]
  return ops::trunc_exp((*network_)((*encoding_)(u)).reshape({-1}) - 1) * inside;
}

ProposedSamples Proposal::sample(const at::Tensor& o, const at::Tensor& d, bool learns, bool is_random,
                                 Rng& rng) const {
  const int64_t n_rays = o.size(0);
  const auto jitter = [&] { return is_random ? ray_jitter(n_rays, o, rng) : at::Tensor(); };
  ProposedSamples out;
  out.first_edges = even_edges(n_rays, n_first_, sampler_.near_plane, sampler_.far_plane, jitter(), o);
  const auto low = out.first_edges.slice(1, 0, -1), high = out.first_edges.slice(1, 1);  // [R,E-1]
  const auto points = (o.unsqueeze(1) + d.unsqueeze(1) * ((low + high) / 2).unsqueeze(-1)).reshape({-1, 3});
  {
    const c10::AutoGradMode gradients(learns && c10::GradMode::is_enabled());
    const int64_t chunk = learns ? 0 : sampler_.eval_chunk_size;
    const auto sigma = in_chunks(points, chunk, [this](const at::Tensor& x) { return density(x); });
    out.first_cdf = ops::cdf_from_transmittance(
        ops::weights_from_density_batched(sigma.reshape(low.sizes()), high - low).transmittance);
  }
  out.edges = ops::importance_resample(out.first_edges, out.first_cdf.detach(), sampler_.num_samples_per_ray,
                                       jitter())
                  .intervals;
  out.at = samples_between(out.edges);
  return out;
}

void Proposal::collect(const std::string& prefix, field::NamedTensors& parameters,
                       field::NamedTensors& buffers) const {
  encoding_->collect(prefix + "encoding.", parameters, buffers);
  network_->collect(prefix + "network.", parameters, buffers);
}

void Proposal::update_step(int64_t step) {
  encoding_->update_step(step);
  if (step < step_) step_ = -1, n_since_ = 0;
  while (step_ < step) {  // from the start after a restart: a few additions a step
    ++step_;
    learns_ = static_cast<double>(n_since_) >
              std::min(static_cast<double>(step_) / kBetweenSteps, 1.0) * kMostBetween;
    n_since_ = learns_ ? 1 : n_since_ + 1;
  }
}

at::Tensor proposal_loss(const at::Tensor& edges, const at::Tensor& cdf, const at::Tensor& first_edges,
                         const at::Tensor& first_cdf) {
  constexpr double kRound = 1e-7;
  const int64_t last = first_edges.size(1) - 1;
  const auto key = first_edges.contiguous(), query = edges.contiguous();
  const auto after = at::searchsorted(key, query, /*out_int32=*/false, /*right=*/true);  // [R,K+1]
  const auto left = (after.slice(1, 0, -1) - 1).clamp(0, last), right = after.slice(1, 1).clamp(0, last);
  const auto w = cdf.slice(1, 1) - cdf.slice(1, 0, -1);  // [R,K]
  const auto outer = first_cdf.gather(1, right) - first_cdf.gather(1, left);
  return ((w - outer).clamp_min(0).square() / (w + kRound)).mean();
}

}  // namespace t3d::render
