#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/config/schedule.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/registry.h"
#include "t3d/data/camera_data.h"
#include "t3d/guidance/guidance.h"
#include "t3d/guidance/prompt_processor.h"
#include "t3d/io/image.h"
#include "t3d/render/renderer.h"
#include "t3d/system/pass.h"
#include "t3d/system/term.h"

namespace t3d::system {

using guidance::NamedTensors;

/// How often something is done: threestudio's `freq`.
struct FrequencyConfig {
  int64_t guidance_eval = 0;

  template <class V>
  void visit(V& v) {
    v("guidance_eval", guidance_eval, config::non_negative(),
      "steps between pictures of what the guidance sees, save/it{step}-train.png; 0: none");
  }
};

/// The keys that every system has, threestudio section 5.0.
struct SystemConfig {
  config::Node loggers, loss, optimizer, scheduler;
  std::optional<std::string> weights;
  std::optional<std::vector<std::string>> weights_ignore_modules;
  bool cleanup_after_validation_step = false, cleanup_after_test_step = false;
  std::string geometry_type, material_type, background_type, renderer_type, guidance_type;
  config::Node geometry, material, background, renderer, guidance;
  std::string prompt_processor_type, exporter_type = "mesh-exporter";
  config::Node prompt_processor, exporter;
  std::optional<std::string> geometry_convert_from;
  bool geometry_convert_inherit_texture = false;
  config::Node geometry_convert_override, freq;

  template <class V>
  void visit_common(V& v) {
    using namespace config;
    v("geometry_type", geometry_type, required(), "the shape; see geometry");
    v("geometry", geometry, any(), "its keys");
    v("material_type", material_type, required(), "from features to colour; see material");
    v("material", material, any(), "its keys");
    v("background_type", background_type, any(), "solid-color-background when it is not given");
    v("background", background, any(), "its keys");
    v("renderer_type", renderer_type, required(), "from rays to images; see renderer");
    v("renderer", renderer, any(), "its keys");
    v("guidance_type", guidance_type, required(), "what pictures are compared with; see guidance");
    v("guidance", guidance, any(), "its keys");
    v("prompt_processor_type", prompt_processor_type, required(), "from text to embeddings");
    v("prompt_processor", prompt_processor, any(), "its keys, the prompt among them");
    v("exporter_type", exporter_type, one_of({"mesh-exporter", "dummy-exporter"}), "what export writes");
    v("exporter", exporter, any(), "its keys");
    v("loss", loss, any(), "lambda_NAME for each loss term, numbers or schedules");
    v("optimizer", optimizer, any(), "name, args, and params by dotted names");
    v("scheduler", scheduler, any(), "how learning rates change");
    v("freq", freq, any(),
      "guidance_eval: steps between pictures of what the guidance sees; docs/systems.md");
    v("loggers", loggers, ignored("metrics go to csv_logs and tb_logs of the run's folder"),
      "where metrics go");
    v("weights", weights, any(), "checkpoint whose tensors the parts start from");
    v("weights_ignore_modules", weights_ignore_modules, any(), "parts that do not");
    v("geometry_convert_from", geometry_convert_from, any(), "start from an earlier stage's geometry");
    v("geometry_convert_inherit_texture", geometry_convert_inherit_texture, any(), "and its texture");
    v("geometry_convert_override", geometry_convert_override, any(), "keys of that geometry");
    v("cleanup_after_validation_step", cleanup_after_validation_step,
      harmless("a view's memory is free after it"), "give memory back");
    v("cleanup_after_test_step", cleanup_after_test_step, harmless("a view's memory is free after it"),
      "give memory back");
  }
};

/// What a system is built with. The makers are stand-ins for tests; empty: the registered types.
struct SystemContext {
  uint64_t seed = 0;
  c10::Device device = c10::kCPU;
  RunControl control;
  guidance::ModelOpener open = guidance::open_model;
  bool reads_weights =
      true;  ///< of models; false: all that is wrong is found before the first step, see run.h
  std::function<std::unique_ptr<guidance::Guidance>()> make_guidance;
  std::function<std::unique_ptr<guidance::PromptProcessor>()> make_prompt;
};

/// The result of one training batch.
struct StepLosses {
  at::Tensor total;                           ///< scalar; its graph is gone once training_step returns
  std::map<std::string, at::Tensor> metrics;  ///< "loss_sds", "grad_norm": scalars without one, unweighted
  std::map<std::string, double> lambdas;      ///< "lambda_sds": what is in force now
  io::Image8 guidance_picture;                ///< see guidance_grid.h; empty where none is due
};

/// An evaluation view's pictures, in the order of the columns of the file.
struct NamedPicture {
  std::string name;  ///< "rgb", "normal", "opacity", "depth"
  io::Image8 image;
};

/// A scene, what it is compared with, and how: threestudio's system. Geometry, material, background and
/// renderer exist from the start; prompt and guidance, which need a diffusion model, once open_guidance is
/// called.
class System {
 public:
  System(const SystemConfig& config, const SystemContext& context);
  virtual ~System() = default;

  /// Opens prompt and guidance. Training needs it, and evaluation of systems that render latents.
  void open_guidance();
  bool has_guidance() const { return guidance_ != nullptr; }
  /// Whether a validation's views become a film too.
  virtual bool joins_validation() const { return false; }
  /// Whether anything that the plan adds up looks at colours; surfaces are not shaded otherwise.
  bool wants_colour() const;
  /// Whether evaluation decodes latents.
  virtual bool evaluates_with_guidance() const { return false; }

  /// The cascade before every batch: all parts.
  void update_step(int64_t step, bool is_training);
  /// Renders the batch, asks the guidance, adds the terms up, and leaves the gradient of total * `scale` in
  /// the parameters. A function of seed, step, batch and parameters.
  ///
  /// Above `max_rays` rays (0: no bound) the picture is rendered twice, in strips: first without a graph, for
  /// the losses, then strip by strip for the gradient, so that memory holds the samples of one strip. Zhang
  /// et al. 2022, ARF, arXiv:2206.06360, section 4.2.
  ///
  /// Where it throws, some gradients may be there; cleared, the step may be taken again.
  StepLosses training_step(const data::CameraBatch& batch, int64_t step, double scale = 1,
                           int64_t max_rays = 0);
  /// Whether max_rays means anything: not where the renderer has a scheme of its own.
  bool can_render_strips() const { return renderer_->can_render_strips(); }
  /// What to change where the memory does not suffice for a step.
  std::string way_to_less_memory() const { return renderer_->way_to_less_memory(); }
  /// Renders an evaluation view, without a graph.
  render::RenderOutput render_view(const data::CameraBatch& batch);
  /// The view's pictures: rgb where colours are rendered, normal where there are normals, opacity.
  virtual std::vector<NamedPicture> pictures(const render::RenderOutput& out) const;
  /// The rgb picture alone, of normals where no colours are rendered: of previews and turntables.
  virtual io::Image8 rgb_picture(const render::RenderOutput& out) const;

  /// Everything that learns, and everything else that a checkpoint holds, by checkpoint name. Shared.
  NamedTensors parameters() const;
  NamedTensors buffers() const;
  /// What the renderer learns by an optimizer of its own; parameters by checkpoint name.
  std::optional<render::OwnLearning> renderer_learning() const;
  /// Names that `optimizer.params` may use although nothing behind them learns.
  std::vector<std::string> part_names() const;

  const SystemConfig& config() const { return config_; }
  const SystemContext& context() const { return context_; }
  field::Geometry& geometry() const { return *geometry_; }
  shading::Material& material() const { return *material_; }
  /// geometry, material, background or renderer; null for another name.
  field::Component* part(const std::string& name) const;
  /// The key `weights` of these parts' blocks, and of the guidance's once it is open, where it is set:
  /// "PATH:NAME" by part.
  const std::map<std::string, std::string>& part_weights() const { return part_weights_; }
  const guidance::PromptProcessor* prompt() const { return prompt_.get(); }

  /// Throws UserError where the plan needs an output that the renderer does not make, where a weight that the
  /// guidance needs is missing, or all are 0 at the first step: what that step would find, before it.
  void require_losses() const;
  /// Value of a loss weight now; a missing one throws UserError, or gives `absent`.
  double lambda(const std::string& name, std::optional<double> absent = std::nullopt) const;

 protected:
  /// What the system compares and regularises at step().
  virtual const StepPlan& plan() const = 0;
  /// The mesh of the term `shape`, where the plan has it.
  virtual const ShapeGuide* shape_guide() const { return nullptr; }

  guidance::Guidance& open() const;
  /// The step that update_step was last told.
  int64_t step() const { return step_; }

 private:
  render::RenderRequest request_of(const data::CameraBatch& batch) const;
  /// Leaves the gradient of the renderer's own loss, where this batch has one.
  void learn_renderer(StepLosses& losses, double scale);
  StepLosses step_at_once(const data::CameraBatch& batch, int64_t step, double scale);
  StepLosses step_in_strips(const data::CameraBatch& batch, int64_t step, double scale, int64_t max_rays);
  SystemConfig config_;
  SystemContext context_;
  void add_guidance(StepLosses& losses, const render::RenderOutput& out, const GuidancePass& pass,
                    const data::CameraBatch& batch, Rng& rng) const;
  void add_term(StepLosses& losses, const render::RenderOutput& out, const Term& term) const;
  /// Throws UserError where an output is missing that a pass, or a term whose weight is ever above 0, needs.
  void require_outputs() const;
  /// The losses of a rendering, with their graph. Throws UserError when nothing is to be learned from them.
  StepLosses losses_of(const render::RenderOutput& out, const data::CameraBatch& batch, int64_t step) const;

  void note_weights(const std::string& part, const config::Node& block);
  /// A part's block without `weights`, which is noted.
  config::Node keys_of(const std::string& part, const config::Node& block);

  std::map<std::string, config::Schedule> loss_;
  std::map<std::string, std::string> part_weights_;
  std::unique_ptr<field::Geometry> geometry_;
  std::unique_ptr<shading::Material> material_;
  std::unique_ptr<shading::Background> background_;
  std::unique_ptr<render::Renderer> renderer_;
  std::unique_ptr<guidance::PromptProcessor> prompt_;
  std::unique_ptr<guidance::Guidance> guidance_;
  FrequencyConfig freq_;
  int64_t step_ = 0;
  mutable int64_t shown_step_ = -1;  // of the last picture of freq.guidance_eval
};

/// The table of systems by `system_type`.
using SystemRegistry = Registry<System, const SystemContext&>;
SystemRegistry& systems();

/// [H,W,C] or [1,H,W,C] float -> picture data on the CPU.
io::ImageF to_image(const at::Tensor& pixels);

}  // namespace t3d::system
