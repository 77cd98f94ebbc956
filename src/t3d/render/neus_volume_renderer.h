#pragma once

#include "t3d/render/ray_sampler.h"
#include "t3d/render/renderer.h"

namespace t3d::render {

/// Opacity of an interval [N] around a point of a signed distance: how much of a logistic function of the
/// distance, s = inv_std wide, the ray loses in it. Wang et al. 2021, NeuS, arXiv:2106.10689, eq. 13.
///
///   c = -(relu(1/2 - cosine/2) (1-a) + relu(-cosine) a)      the slope along the ray, never above 0
///   p = sigmoid(s (sdf - c dt/2)),  q = sigmoid(s (sdf + c dt/2))
///   alpha = clamp((p - q + 1e-5) / (p + 1e-5), 0, 1)
///
///   sdf, cosine, dt  [N]; cosine of the normal and the ray's direction
///   inv_std          []   above 0
///   cos_anneal       a in [0,1]: at 0, surfaces that turn away are seen as well
at::Tensor neus_alpha(const at::Tensor& sdf, const at::Tensor& cosine, const at::Tensor& dt,
                      const at::Tensor& inv_std, double cos_anneal);

/// Density [N] of a signed distance [N]: s' times the Laplace distribution function of -sdf, s' = inv_std up
/// to 80. Yariv et al. 2021, VolSDF, arXiv:2106.12052, eq. 2 and 3 with alpha = 1/beta = s'.
at::Tensor volsdf_density(const at::Tensor& sdf, const at::Tensor& inv_std);

/// The surface of a signed distance, softened by a width that is learned: threestudio's neus-volume-renderer.
/// Normals are always asked for.
class NeusVolumeRenderer : public Renderer {
 public:
  struct Config : SamplerConfig {
    float learned_variance_init = 0.3f;
    int64_t cos_anneal_end_steps = 0;
    bool use_volsdf = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      visit_common(v, {"occgrid", "importance"});
      v("learned_variance_init", learned_variance_init, any(), "v at first; the sharpness is exp(10 v)");
      v("cos_anneal_end_steps", cos_anneal_end_steps, non_negative(),
        "step from which surfaces that turn away are unseen; 0: always");
      v("use_volsdf", use_volsdf, any(), "VolSDF's density instead of NeuS's opacity");
    }
  };

  NeusVolumeRenderer(const Config& config, const Scene& scene, const field::BuildContext& context);

  bool makes(const std::string& field) const override;
  RenderOutput operator()(const RenderRequest& request, bool is_training, Rng& rng) override;
  void update_step(int64_t step) override;
  void update_grid(int64_t step) override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  at::Tensor inv_std() const;  // []
  FieldProbe probe() const;

  Config config_;
  Scene scene_;
  const field::DistanceField& field_;  ///< the scene's geometry
  RaySampler sampler_;
  at::Tensor variance_;  // [], v
  double cos_anneal_ = 1;
};

}  // namespace t3d::render
