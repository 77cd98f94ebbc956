#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "t3d/field/encoding.h"
#include "t3d/field/network.h"
#include "t3d/ops/ray_march.h"
#include "t3d/render/ray_sampler.h"

namespace t3d::render {

/// Samples that a proposal placed, and what it has to learn from them.
struct ProposedSamples {
  ops::RaySamples at;                 ///< as many of each ray
  at::Tensor edges;                   ///< [R,K+1] of these samples' intervals
  at::Tensor first_edges, first_cdf;  ///< [R,E] of the proposal; the cdf carries its graph when it learns
};

/// A small density network that learns where rays meet something, so that the scene is asked there alone.
/// Barron et al. 2022, mip-NeRF 360, arXiv:2111.12077, sections 3 and 4; nerfacc's estimator of that name.
class Proposal : public field::Component {
 public:
  /// threestudio's renderer.proposal_network_config.
  struct Config {
    int n_input_dims = 3, n_output_dims = 1;
    config::Node encoding_config, network_config;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_input_dims", n_input_dims, one_of({3}), "numbers of a point");
      v("n_output_dims", n_output_dims, one_of({1}), "the density");
      v("encoding_config", encoding_config, required(), "encoding of positions");
      v("network_config", network_config, required(), "network of the density");
    }
  };

  /// `n_first` intervals of the proposal; the scene gets sampler.num_samples_per_ray. Throws UserError where
  /// there is no far plane.
  Proposal(const Config& config, const SamplerConfig& sampler, int n_first,
           const field::BuildContext& context);

  /// Rays [R,3]. With `is_random` one draw per ray and pass comes from rng.
  ProposedSamples sample(const at::Tensor& origins, const at::Tensor& directions, bool learns, bool is_random,
                         Rng& rng) const;
  /// [N] at points [N,3]: exp(network - 1) within the box, 0 outside.
  at::Tensor density(const at::Tensor& points) const;

  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;
  void update_step(int64_t step) override;
  /// Whether it learns at the step of the last update: every step at first, every sixth from step 1000 on.
  /// A function of the step alone.
  bool learns() const { return learns_; }

 private:
  SamplerConfig sampler_;
  int n_first_;
  std::unique_ptr<field::Encoding> encoding_;
  std::unique_ptr<field::Network> network_;
  int64_t step_ = -1, n_since_ = 0;
  bool learns_ = false;
};

/// How much weight of each interval the proposal did not leave room for: mean of max(0, w - w')^2 / (w +
/// 1e-7), w' what the proposal has over all of its intervals that touch. Barron et al. 2022, eq. 13.
///
///   edges [R,K+1], cdf [R,K+1] of the scene, constants;  first_edges, first_cdf [R,E] of the proposal
///
/// Returns a scalar, differentiable in first_cdf.
at::Tensor proposal_loss(const at::Tensor& edges, const at::Tensor& cdf, const at::Tensor& first_edges,
                         const at::Tensor& first_cdf);

}  // namespace t3d::render
