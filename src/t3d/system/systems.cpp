#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/io/image_grid.h"
#include "t3d/io/image_resize.h"
#include "t3d/system/fantasia3d_system.h"
#include "t3d/system/magic3d_system.h"
#include "t3d/system/prolificdreamer_system.h"
#include "t3d/system/shape_guide.h"

namespace t3d::system {
namespace {

using render::RenderOutput;

// What the systems add up.
const StepPlan kColourAndNormals = {GuidancePass{},
                                    "orient",
                                    "sparsity",
                                    "opaque",
                                    "z_variance",
                                    "eikonal",
                                    GuidancePass{"comp_normal", false, 0.5, "normal_"}};
const StepPlan kMeshNormals = {GuidancePass{"comp_normal"}, "normal_consistency", "laplacian_smoothness"};
const StepPlan kColourAlone = {GuidancePass{}};
const StepPlan kSjc = {GuidancePass{"comp_rgb", true, 1, ""}, "emptiness", "depth"};

StepPlan latent_nerf_plan(bool is_latent, bool has_guide) {
  StepPlan plan = {GuidancePass{"comp_rgb", is_latent, 1, ""}, "orient", "sparsity", "opaque"};
  if (has_guide) plan.push_back("shape");
  return plan;
}

/// Tsalicoglou et al. 2023, TextMesh, arXiv:2304.12439: the same on a signed distance.
class TextMeshSystem : public DreamFusionSystem {
 public:
  using Config = DreamFusionSystem::Config;
  TextMeshSystem(const Config& config, const SystemContext& context) : DreamFusionSystem(config, context) {
    field::need_distance(geometry(), "textmesh-system", "another system_type");
  }
};

/// The same with the keys of MVDream's own system.
class MvDreamSystem : public DreamFusionSystem {
 public:
  struct Config : DreamFusionSystem::Config {
    bool visualize_samples = false;
    template <class V>
    void visit(V& v) {
      visit_common(v);
      v("visualize_samples", visualize_samples,
        config::ignored(
            "no pictures are sampled from the model; system.freq.guidance_eval shows what it sees"),
        "sample pictures from the model");
    }
  };
  MvDreamSystem(const Config& config, const SystemContext& context) : DreamFusionSystem(config, context) {}
};

/// Ma et al. 2024, ScaleDreamer, arXiv:2407.02040, one prompt.
class ScaleDreamerSystem : public DreamFusionSystem {
 public:
  struct Config : DreamFusionSystem::Config {
    std::string stage = "coarse";
    bool visualize_samples = false, validation_via_video = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      visit_common(v);
      v("stage", stage, one_of({"coarse", "coarse+geometry", "geometry", "geometry+texture", "texture"}),
        "what is learned; geometry+texture is not built");
      v("visualize_samples", visualize_samples,
        ignored("no pictures are sampled from the model; system.freq.guidance_eval shows what it sees"),
        "sample pictures from the model");
      v("validation_via_video", validation_via_video, any(),
        "join a validation's views to save/it{step}-val.mp4");
    }
  };
  ScaleDreamerSystem(const Config& config, const SystemContext& context)
      : DreamFusionSystem(config, context),
        stage_(config.stage),
        joins_validation_(config.validation_via_video) {
    if (stage_ == "geometry+texture")
      throw UserError(
          "system.stage is geometry+texture, whose two weights are not built. Use geometry, then texture.");
    if (stage_ == "geometry")
      field::need_surface(this->geometry(), "system.stage=geometry", "system.stage=coarse");
  }

  bool joins_validation() const override { return joins_validation_; }

  std::vector<NamedPicture> pictures(const RenderOutput& out) const override {
    auto all = DreamFusionSystem::pictures(out);
    if (out.depth.defined())
      all.push_back({"depth", io::picture_of_values(to_image(out.depth), std::nullopt, io::ColourMap::Jet)});
    return all;
  }

 protected:
  const StepPlan& plan() const override {
    return stage_ == "texture"           ? kColourAlone
           : stage_ == "geometry"        ? kMeshNormals
           : stage_ == "coarse+geometry" ? kColourAndNormals
                                         : DreamFusionSystem::plan();
  }

 private:
  std::string stage_;
  bool joins_validation_;
};

/// Wang et al. 2022, Score Jacobian Chaining, arXiv:2212.00774: renders latents.
class SjcSystem : public System {
 public:
  struct Config : SystemConfig {
    bool subpixel_rendering = true;
    template <class V>
    void visit(V& v) {
      visit_common(v);
      v("subpixel_rendering", subpixel_rendering, config::any(),
        "evaluation decodes latents of twice the size");
    }
  };
  SjcSystem(const Config& config, const SystemContext& context)
      : System(config, context), latent_side_(config.subpixel_rendering ? 128 : 64) {}

  bool evaluates_with_guidance() const override { return true; }

  io::Image8 rgb_picture(const RenderOutput& out) const override {
    const auto small = at::upsample_bilinear2d(out.comp_rgb.permute({0, 3, 1, 2}),
                                               {latent_side_, latent_side_}, /*align_corners=*/false);
    return io::picture_of_rgb(to_image(open().decode(small.permute({0, 2, 3, 1}))));
  }

  std::vector<NamedPicture> pictures(const RenderOutput& out) const override {
    auto all = System::pictures(out);
    const auto far = out.depth + 10 * (1 - out.opacity);
    all.push_back({"depth", io::picture_of_values(to_image((1 + far + 1e-12).log() / std::log(11.0)),
                                                  io::ValueRange{0.f, 1.f}, io::ColourMap::Spectral)});
    return all;
  }

 protected:
  const StepPlan& plan() const override { return kSjc; }

 private:
  int64_t latent_side_;
};

/// Metzer et al. 2022, Latent-NeRF, arXiv:2211.07600: renders latents, and pictures in its refinement.
class LatentNerfSystem : public System {
 public:
  struct Config : SystemConfig {
    std::optional<std::string> guide_shape;
    bool refinement = false;
    template <class V>
    void visit(V& v) {
      visit_common(v);
      v("guide_shape", guide_shape, config::any(), "mesh that the density should stay in");
      v("refinement", refinement, config::any(), "render pictures instead of latents");
    }
  };
  LatentNerfSystem(const Config& config, const SystemContext& context)
      : System(config, context),
        is_refinement_(config.refinement),
        plan_(latent_nerf_plan(!config.refinement, config.guide_shape && !config.guide_shape->empty())) {
    if (!config.guide_shape || config.guide_shape->empty()) return;
    field::need_density(geometry(), "system.guide_shape", "the geometry's own shape_init");
    guide_ = std::make_unique<ShapeGuide>(*config.guide_shape);
  }

  bool evaluates_with_guidance() const override { return !is_refinement_; }

  io::Image8 rgb_picture(const RenderOutput& out) const override {
    if (is_refinement_) return System::rgb_picture(out);
    constexpr int64_t kLatentSide = 64;
    const auto small = at::upsample_bilinear2d(out.comp_rgb.permute({0, 3, 1, 2}), {kLatentSide, kLatentSide},
                                               /*align_corners=*/false);
    return io::picture_of_rgb(to_image(open().decode(small.permute({0, 2, 3, 1}))));
  }

 protected:
  const StepPlan& plan() const override { return plan_; }
  const ShapeGuide* shape_guide() const override { return guide_.get(); }

 private:
  bool is_refinement_;
  StepPlan plan_;
  std::unique_ptr<ShapeGuide> guide_;
};

}  // namespace

const StepPlan& DreamFusionSystem::plan() const {
  static const StepPlan all = {GuidancePass{}, "orient", "sparsity", "opaque", "z_variance", "eikonal"};
  return all;
}

SystemRegistry& systems() {
  using R = SystemRegistry;
  static R table(
      "system", "what is optimized and compared (system_type)",
      {R::entry<DreamFusionSystem>("dreamfusion-system", "score distillation on pictures"),
       R::entry<MvDreamSystem>("mvdream-system", "the same with several views at once"),
       R::entry<TextMeshSystem>("textmesh-system", "the same on a signed distance"),
       R::entry<ProlificDreamerSystem>("prolificdreamer-system",
                                       "variational score distillation: field, shape, texture"),
       R::entry<Magic3dSystem>("magic3d-system", "Magic3D: a field, then a mesh"),
       R::entry<Fantasia3dSystem>("fantasia3d-system",
                                  "Fantasia3D: a mesh by its normals, then its material"),
       R::entry<ScaleDreamerSystem>("scaledreamer-system", "asynchronous score distillation, one prompt"),
       R::entry<SjcSystem>("sjc-system", "Score Jacobian Chaining: latents on a grid"),
       R::entry<LatentNerfSystem>("latentnerf-system", "Latent-NeRF: latents, then pictures")});
  return table;
}

}  // namespace t3d::system
