#pragma once

#include <functional>
#include <string>
#include <vector>

#include "t3d/core/config/fields.h"
#include "t3d/core/rng.h"
#include "t3d/field/component.h"
#include "t3d/ops/occupancy.h"
#include "t3d/ops/ray_march.h"

namespace t3d::render {

/// Keys that renderers of samples along rays share.
struct SamplerConfig {
  float radius = 1;
  int num_samples_per_ray = 512, num_samples_per_ray_importance = 64;
  int64_t eval_chunk_size = 160000;
  bool randomized = true;
  float near_plane = 0, far_plane = 1e10f;
  std::string estimator = "occgrid";
  bool grid_prune = true, prune_alpha_threshold = true;

  template <class V>
  void visit_common(V& v, std::vector<std::string> estimators) {
    using namespace config;
    v("radius", radius, positive(), "the box is [-radius, radius]^3");
    v("num_samples_per_ray", num_samples_per_ray, in_range(1, 1 << 20), "steps across the box's diagonal");
    v("num_samples_per_ray_importance", num_samples_per_ray_importance, in_range(1, 1 << 16),
      "first samples of the importance estimator");
    v("eval_chunk_size", eval_chunk_size, any(), "samples evaluated at once outside of training; 0: all");
    v("randomized", randomized, any(), "jitter samples in training");
    v("near_plane", near_plane, non_negative(), "distance at which rays begin");
    v("far_plane", far_plane, positive(), "distance at which rays end");
    v("estimator", estimator, one_of(std::move(estimators)), "where samples are placed");
    v("grid_prune", grid_prune, any(), "skip empty cells");
    v("prune_alpha_threshold", prune_alpha_threshold, any(), "drop samples that cannot be seen");
  }
};

/// What a sampler asks of a field, [N] at points [N,3]. Gradients are off, and it comes in chunks.
struct FieldProbe {
  std::function<at::Tensor(const at::Tensor&)> occupancy;  ///< what the grid holds: opacity of one step, or
                                                           ///< its linear form, density * step
  std::function<at::Tensor(const at::Tensor&)> alpha;      ///< opacity of one step, to drop unseen samples by
  std::function<at::Tensor(const at::Tensor&)> density;    ///< for the importance estimator alone
};

/// body on parts of at most `chunk` rows, joined; one call, too, for no rows at all. 0: all at once.
at::Tensor in_chunks(const at::Tensor& rows, int64_t chunk,
                     const std::function<at::Tensor(const at::Tensor&)>& body);

/// One uniform draw for each of n rays, on the device of `like`.
at::Tensor ray_jitter(int64_t n_rays, const at::Tensor& like, Rng& rng);

/// Edges [R,n+1] of n intervals of each ray between the planes, moved by jitter [R] (undefined: 1/2) as
/// ops::importance_resample does.
at::Tensor even_edges(int64_t n_rays, int64_t n, float near_plane, float far_plane, const at::Tensor& jitter,
                      const at::Tensor& like);

/// One sample for each interval of edges [R,K+1].
ops::RaySamples samples_between(const at::Tensor& edges);

/// Places samples along rays as threestudio's volume renderers do: at even steps in occupied cells of a grid
/// (nerfacc's, Li et al. 2023, arXiv:2305.04966), or by importance (Mildenhall et al. 2020, section 5.2).
class RaySampler {
 public:
  /// Throws UserError where the importance estimator has no far plane.
  RaySampler(const SamplerConfig& config, const field::BuildContext& context);

  /// Length of an even step: 1.732 * 2 * radius / num_samples_per_ray.
  float step_size() const;
  /// Refreshes the grid at every 16th step. It starts empty: nothing is sampled before, with grid_prune.
  void update_grid(int64_t step, const FieldProbe& probe);
  /// Rays [R,3] to packed samples, at least one of them (of ray 0, t 0, no length). With `is_random` one
  /// draw per ray and pass comes from rng.
  ops::RaySamples sample(const at::Tensor& origins, const at::Tensor& directions, const FieldProbe& probe,
                         bool is_random, Rng& rng) const;
  void collect(const std::string& prefix, field::NamedTensors& buffers) const;

 private:
  ops::RaySamples by_importance(const at::Tensor& origins, const at::Tensor& directions,
                                const FieldProbe& probe, bool is_random, Rng& rng) const;
  ops::RaySamples by_grid(const at::Tensor& origins, const at::Tensor& directions, const FieldProbe& probe,
                          bool is_random, Rng& rng) const;

  SamplerConfig config_;
  uint64_t seed_;
  c10::Device device_;
  ops::OccupancyGrid grid_;
};

}  // namespace t3d::render
