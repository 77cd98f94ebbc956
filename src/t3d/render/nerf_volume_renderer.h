#pragma once

#include "t3d/ops/occupancy.h"
#include "t3d/ops/ray_march.h"
#include "t3d/render/renderer.h"

namespace t3d::render {

/// Emission-absorption rendering of a density: threestudio's nerf-volume-renderer, with samples from an
/// occupancy grid (nerfacc) or by importance.
class NerfVolumeRenderer : public Renderer {
 public:
  struct Config {
    float radius = 1;
    int num_samples_per_ray = 512, num_samples_per_ray_importance = 64, num_samples_per_ray_proposal = 64;
    int64_t eval_chunk_size = 160000;
    bool randomized = true, return_comp_normal = false, return_normal_perturb = false;
    float near_plane = 0, far_plane = 1e10f;
    std::string estimator = "occgrid";
    bool grid_prune = true, prune_alpha_threshold = true;
    config::Node proposal_network_config, prop_optimizer_config, prop_scheduler_config;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("radius", radius, positive(), "the box is [-radius, radius]^3");
      v("num_samples_per_ray", num_samples_per_ray, in_range(1, 1 << 20), "steps across the box's diagonal");
      v("num_samples_per_ray_importance", num_samples_per_ray_importance, in_range(1, 1 << 16),
        "first samples of the importance estimator");
      v("num_samples_per_ray_proposal", num_samples_per_ray_proposal, in_range(1, 1 << 16),
        "proposal samples");
      v("eval_chunk_size", eval_chunk_size, any(), "samples evaluated at once outside of training; 0: all");
      v("randomized", randomized, any(), "jitter samples in training");
      v("return_comp_normal", return_comp_normal, any(), "normals as a picture in training too");
      v("return_normal_perturb", return_normal_perturb, any(), "normals of points moved at random");
      v("near_plane", near_plane, non_negative(), "distance at which rays begin");
      v("far_plane", far_plane, positive(), "distance at which rays end");
      v("estimator", estimator, one_of({"occgrid", "importance", "proposal"}), "where samples are placed");
      v("grid_prune", grid_prune, any(), "skip empty cells");
      v("prune_alpha_threshold", prune_alpha_threshold, any(), "drop samples that cannot be seen");
      v("proposal_network_config", proposal_network_config, any(), "for the proposal estimator");
      v("prop_optimizer_config", prop_optimizer_config, any(), "for the proposal estimator");
      v("prop_scheduler_config", prop_scheduler_config, any(), "for the proposal estimator");
    }
  };

  NerfVolumeRenderer(const Config& config, const Scene& scene, const field::BuildContext& context);

  RenderOutput operator()(const RenderRays& rays, bool is_training, Rng& rng) override;
  /// Refreshes the occupancy grid every 16 steps; call it in training only.
  void update_step(int64_t epoch, int64_t step) override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  float step_size() const {
    return 1.732f * 2 * config_.radius / static_cast<float>(config_.num_samples_per_ray);
  }
  /// Flat rays [R,3] to packed samples; the jitter's uniform draws come from rng.
  ops::RaySamples sample(const at::Tensor& origins, const at::Tensor& directions, bool is_random,
                         Rng& rng) const;
  ops::RaySamples by_importance(const at::Tensor& origins, const at::Tensor& directions, bool is_random,
                                Rng& rng) const;
  at::Tensor density_at(const at::Tensor& points) const;  // [N], in chunks, no gradient
  field::GeometryOutput evaluate(const at::Tensor& points, bool with_normals, bool is_training) const;

  Config config_;
  Scene scene_;
  uint64_t seed_;
  c10::Device device_;
  ops::OccupancyGrid grid_;
};

}  // namespace t3d::render
