#pragma once

#include <memory>
#include <vector>

#include "t3d/render/proposal.h"
#include "t3d/render/ray_sampler.h"
#include "t3d/render/renderer.h"

namespace t3d::render {

/// Emission-absorption rendering of a density: threestudio's nerf-volume-renderer, with samples from an
/// occupancy grid (nerfacc), by importance, or where a proposal network puts them.
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
        "intervals of the proposal estimator");
      v("proposal_network_config", proposal_network_config, any(),
        "the proposal's encoding_config and network_config");
      v("prop_optimizer_config", prop_optimizer_config, any(), "its optimizer, as system.optimizer");
      v("prop_scheduler_config", prop_scheduler_config, any(), "its learning rate, as system.scheduler");
    }
  };

  NerfVolumeRenderer(const Config& config, const Scene& scene, const field::BuildContext& context);

  bool makes(const std::string& field) const override;
  RenderOutput operator()(const RenderRequest& request, bool is_training, Rng& rng) override;
  /// Refreshes the occupancy grid every 16 steps.
  void update_grid(int64_t step) override;
  void update_step(int64_t step) override;
  std::optional<OwnLearning> own_learning() const override;
  at::Tensor take_own_loss() override;
  void drop_own_loss() override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  FieldProbe probe() const;

  Config config_;
  Scene scene_;
  const field::DensityField& field_;  ///< the scene's geometry
  RaySampler sampler_;
  std::unique_ptr<Proposal> proposal_;  ///< of the proposal estimator
  std::vector<at::Tensor> own_losses_;
};

}  // namespace t3d::render
