#pragma once

#include "t3d/render/ray_sampler.h"
#include "t3d/render/renderer.h"

namespace t3d::render {

/// Emission-absorption rendering of a density: threestudio's nerf-volume-renderer, with samples from an
/// occupancy grid (nerfacc) or by importance.
class NerfVolumeRenderer : public Renderer {
 public:
  struct Config : SamplerConfig {
    int num_samples_per_ray_proposal = 64;
    bool return_comp_normal = false, return_normal_perturb = false;
    config::Node proposal_network_config, prop_optimizer_config, prop_scheduler_config;
    template <class V>
    void visit(V& v) {
      using namespace config;
      visit_common(v, {"occgrid", "importance", "proposal"});
      v("return_comp_normal", return_comp_normal, any(), "normals as a picture in training too");
      v("return_normal_perturb", return_normal_perturb, any(), "normals of points moved at random");
      v("num_samples_per_ray_proposal", num_samples_per_ray_proposal, in_range(1, 1 << 16),
        "proposal samples");
      v("proposal_network_config", proposal_network_config, any(), "for the proposal estimator");
      v("prop_optimizer_config", prop_optimizer_config, any(), "for the proposal estimator");
      v("prop_scheduler_config", prop_scheduler_config, any(), "for the proposal estimator");
    }
  };

  NerfVolumeRenderer(const Config& config, const Scene& scene, const field::BuildContext& context);

  RenderOutput operator()(const RenderRays& rays, bool is_training, Rng& rng) override;
  /// Refreshes the occupancy grid every 16 steps.
  void update_grid(int64_t step) override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  FieldProbe probe() const;

  Config config_;
  Scene scene_;
  RaySampler sampler_;
};

}  // namespace t3d::render
